// fetch PIXEL                            keep the token of a Pixel, and take a new one as soon as there is one
// fetch PIXEL report CODE [REQUEST-ID]   tell the vault that TikTok refused the token (40105: it looks at once)
//
// The standard library only: go run fetch.go PIXEL. In a program of yours: keep one PixelToken for each Pixel, call Token()
// whenever you send, and Report(40105, requestID) when TikTok refuses.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// PixelToken follows the token of one Pixel.
type PixelToken struct {
	Pixel, Consumer string // Consumer is who you are; the audit log shows it
	client          *http.Client
	mu              sync.Mutex
	token, etag     string
}

// New makes a PixelToken that asks the agent at the socket. Start it with `go p.Follow(...)`.
func New(pixel, consumer, socket string) *PixelToken {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &PixelToken{Pixel: pixel, Consumer: consumer,
		client: &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// Token is the one to send with now; "" before the first came.
func (p *PixelToken) Token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// String keeps the token out of whatever prints a PixelToken.
func (p *PixelToken) String() string { return p.Pixel }

// Follow never returns; it calls changed with each new version.
func (p *PixelToken) Follow(changed func(version string)) {
	for delay := time.Second; ; {
		err := p.askOnce(changed)
		if err == nil {
			delay = time.Second
			continue
		}
		// Away, locked, or none for us: keep the token that we have.
		fmt.Fprintf(os.Stderr, "%s: %v; using %q until there is an answer\n", p.Pixel, err, p.etag)
		rest(delay)
		delay = min(2*delay, time.Minute)
	}
}

// rest sleeps for 50-100% of that long, so that a thousand consumers do not come back in the same instant.
func rest(d time.Duration) { time.Sleep(d/2 + time.Duration(rand.Int63n(int64(d/2)))) }

func min(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

func (p *PixelToken) ask(method, what string, body []byte, headers map[string]string) (*http.Response, []byte, error) {
	request, err := http.NewRequest(method, "http://localhost/v1/pixels/"+p.Pixel+"/"+what, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("X-Consumer", p.Consumer)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 65536))
	return answer, text, err
}

// askOnce: with an ETag the agent holds its answer for up to 30 s: 200 at once when the version changes, else 304.
func (p *PixelToken) askOnce(changed func(version string)) error {
	waiting := map[string]string{}
	if p.etag != "" {
		waiting = map[string]string{"If-None-Match": p.etag, "Prefer": "wait=30"}
	}
	answer, body, err := p.ask("GET", "token", nil, waiting)
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusNotModified:
		if answer.Header.Get("Preference-Applied") == "" {
			rest(time.Second) // it did not wait: so we do
		}
		return nil
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("the agent answered %s", answer.Status)
	}
	p.mu.Lock()
	p.token, p.etag = string(body), answer.Header.Get("ETag")
	p.mu.Unlock()
	changed(p.etag)
	return nil
}

// Report: TikTok answers HTTP 200 also when it refuses; read `code` in its answer, and report 40105 (revoked).
func (p *PixelToken) Report(code int, requestID string) error {
	body, err := json.Marshal(map[string]any{"code": code, "request_id": requestID})
	if err != nil {
		return err
	}
	answer, _, err := p.ask("POST", "report", body, map[string]string{"Content-Type": "application/json"})
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the agent answered %s", answer.Status)
	}
	return err
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	p := New(os.Args[1], setting("CONSUMER", "fetch.go"), setting("PIXELVAULT_SOCKET", "/run/pixelvault/agent.sock"))
	if len(os.Args) > 3 && os.Args[2] == "report" {
		code, err := strconv.Atoi(os.Args[3])
		id := ""
		if len(os.Args) > 4 {
			id = os.Args[4]
		}
		if err == nil {
			err = p.Report(code, id)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Your work: send with Access-Token: p.Token(), asked for anew for each request.
	p.Follow(func(version string) {
		fmt.Printf("%s: version %s, a token of %d characters\n", p.Pixel, version, len(p.Token()))
	})
}
