#!/usr/bin/env php
<?php
// fetch.php PIXEL                            keep the token of a Pixel, and take a new one as soon as there is one
// fetch.php PIXEL report CODE [REQUEST-ID]   tell the vault that TikTok refused the token (40105: it looks at once)
//
// PHP 8.1 or newer, no extensions. Under php-fpm, where a process serves one request and forgets, call ask_once() at the
// beginning of each request: it takes a fraction of a millisecond, and needs no cache. A worker that lives long calls
// follow(), as here.
declare(strict_types=1);

final class PixelToken
{
    private string $token = ''; // private, and not shown by var_dump (below)
    private ?string $etag = null;
    private bool $agentWaits = true;

    public function __construct(
        private string $pixel,
        private string $socket,
        private string $consumer, // who you are; the audit log shows it
    ) {
    }

    public function __debugInfo(): array
    {
        return ['pixel' => $this->pixel, 'version' => $this->etag];
    }

    public function token(): string
    {
        return $this->token;
    }

    /** Follows the Pixel's token for ever; calls $use($pixelToken, $version) with each new one. */
    public function follow(callable $use): never
    {
        for ($delay = 1.0;;) {
            try {
                if ($this->ask_once()) {
                    $use($this, $this->etag);
                } elseif (!$this->agentWaits) {
                    self::rest(1.0);
                }
                $delay = 1.0;
            } catch (RuntimeException $e) {
                // Away, locked, or none for us: keep the token that we have.
                fprintf(STDERR, "%s: %s; using %s until there is an answer\n", $this->pixel, $e->getMessage(), $this->etag ?? 'nothing');
                self::rest($delay);
                $delay = min($delay * 2, 60.0);
            }
        }
    }

    /** True when there is a new token. With an ETag the agent holds its answer for up to 30 s: 200 at once when the
     *  version changes, else 304. */
    public function ask_once(): bool
    {
        $waiting = $this->etag === null ? [] : ["If-None-Match: {$this->etag}", 'Prefer: wait=30'];
        [$status, $headers, $body] = $this->exchange('GET', 'token', $waiting);
        if ($status === 304) {
            $this->agentWaits = isset($headers['preference-applied']);
            return false;
        }
        if ($status !== 200) {
            throw new RuntimeException("the agent answered $status");
        }
        [$this->token, $this->etag] = [$body, $headers['etag'] ?? null];
        return true;
    }

    /** TikTok answers HTTP 200 also when it refuses: read `code` in its answer, and report 40105 (revoked). */
    public function report(int $code, string $requestId = ''): bool
    {
        $body = json_encode(['code' => $code, 'request_id' => $requestId]);
        return $this->exchange('POST', 'report', ['Content-Type: application/json'], $body)[0] === 202;
    }

    /** Sleeps for 50-100% of that long, so that a thousand consumers do not come back in the same instant. */
    private static function rest(float $seconds): void
    {
        usleep((int) ($seconds * random_int(500_000, 1_000_000)));
    }

    /** @return array{int, array<string, string>, string} status, headers by lower-case name, body */
    private function exchange(string $method, string $what, array $headers, string $body = ''): array
    {
        $agent = @stream_socket_client("unix://{$this->socket}", $number, $why, 5);
        if ($agent === false) {
            throw new RuntimeException("the agent is away ($why)");
        }
        stream_set_timeout($agent, 40);
        $head = ["$method /v1/pixels/{$this->pixel}/$what HTTP/1.1", 'Host: localhost', 'Connection: close',
            "X-Consumer: {$this->consumer}", ...$headers];
        if ($method === 'POST') {
            $head[] = 'Content-Length: ' . strlen($body);
        }
        fwrite($agent, implode("\r\n", $head) . "\r\n\r\n" . $body);
        $parts = explode("\r\n\r\n", (string) stream_get_contents($agent), 2);
        fclose($agent);
        if (!preg_match('~^HTTP/1\.[01] (\d{3})~', $parts[0], $status)) {
            throw new RuntimeException('the agent gave no answer');
        }
        preg_match_all('~^([A-Za-z-]+):[ \t]*(.*?)[ \t]*\r?$~m', $parts[0], $lines);
        $found = array_combine(array_map('strtolower', $lines[1]), $lines[2]);
        return [(int) $status[1], $found, substr($parts[1] ?? '', 0, (int) ($found['content-length'] ?? 0))];
    }
}

// Your work: send with "Access-Token: " . $pixel->token().
$pixel = new PixelToken($argv[1], getenv('PIXELVAULT_SOCKET') ?: '/run/pixelvault/agent.sock', getenv('CONSUMER') ?: 'fetch.php');
if (($argv[2] ?? '') === 'report') {
    exit($pixel->report((int) $argv[3], $argv[4] ?? '') ? 0 : 1);
}
$pixel->follow(function (PixelToken $p, string $version) use ($argv) {
    printf("%s: version %s, a token of %d characters\n", $argv[1], $version, strlen($p->token()));
});
