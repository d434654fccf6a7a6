/* agent/page_text.h - the board's page: its style, its script and its fixed words. Included by page.c alone.
 *
 * All of it lies in the page: a browser asks nobody for anything. The page's own rules (Content-Security-Policy) allow
 * exactly this style and these scripts, by their hashes. Contrast of text is at least 4.5 in both schemes. */
#ifndef AGENT_PAGE_TEXT_H
#define AGENT_PAGE_TEXT_H

/* clang-format off */
#define PAGE_STYLE \
	":root{color-scheme:light dark;--back:#fff;--card:#f5f6f8;--text:#16191d;--dim:#535b64;--line:#737b84;" \
	"--bad:#a8161c;--watch:#7d4a00;--unproven:#44525f;--good:#11613a}\n" \
	"@media(prefers-color-scheme:dark){:root{--back:#121518;--card:#1c2126;--text:#e9ecef;--dim:#a9b2bb;" \
	"--line:#7f8993;--bad:#ff9c95;--watch:#ffc56b;--unproven:#b9c5d0;--good:#7edba6}}\n" \
	"*{box-sizing:border-box}[hidden]{display:none!important}\n" \
	"body{margin:0 auto;max-width:78rem;padding:1rem;background:var(--back);color:var(--text);" \
	"font:1rem/1.45 system-ui,sans-serif;overflow-wrap:anywhere}\n" \
	"h1{font-size:1.35rem;margin:0 0 .25rem}p{margin:.25rem 0}code{font-family:ui-monospace,monospace;font-size:.95em}\n" \
	"small,dt,.w,.l{color:var(--dim)}#o{color:var(--watch);font-weight:600}\n" \
	"#f{display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.75rem 0;align-items:end}\n" \
	"#q{font:inherit;color:inherit;background:var(--back);border:1px solid var(--line);border-radius:.3rem;" \
	"padding:.35rem .5rem;width:20rem;max-width:100%;display:block}\n" \
	"fieldset{border:0;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem .9rem}" \
	"fieldset label{padding:.35rem 0}legend{float:left;padding:.35rem 0}\n" \
	":focus-visible{outline:3px solid currentColor;outline-offset:2px}\n" \
	"details{content-visibility:auto;contain-intrinsic-size:auto 3rem;background:var(--card);border-left:.3rem solid;" \
	"border-radius:.3rem;margin:.35rem 0}\n" \
	".b{border-color:var(--bad)}.t{border-color:var(--watch)}.u{border-color:var(--unproven)}.g{border-color:var(--good)}\n" \
	".b b{color:var(--bad)}.t b{color:var(--watch)}.u b{color:var(--unproven)}.g b{color:var(--good)}\n" \
	"summary{display:grid;cursor:pointer;padding:.45rem .7rem;gap:.1rem .8rem;align-items:center;" \
	"grid-template:'s p h w' auto 'l l l l' auto 'a a a a' auto/13rem 14rem minmax(6rem,1fr) 15rem}\n" \
	"summary::-webkit-details-marker{display:none}summary:focus-visible{outline-offset:-3px}\n" \
	"b{grid-area:s}summary code{grid-area:p}.w{grid-area:w}.l{grid-area:l}.a{grid-area:a}\n" \
	"svg{grid-area:h;display:block;width:100%;height:.9rem;border-bottom:1px solid var(--line)}\n" \
	"svg .g{fill:var(--good)}svg .u{fill:var(--unproven)}svg .b{fill:var(--bad)}\n" \
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .8rem;margin:0;padding:.2rem .7rem .7rem}dd{margin:0}\n" \
	"@media(max-width:52rem){summary{grid-template:'s w' auto 'p h' auto 'l l' auto 'a a' auto/1fr minmax(5rem,40%)}" \
	".w{text-align:right}dl{grid-template-columns:1fr}dt{margin-top:.3rem}}\n" \
	"@media(max-width:26rem){summary{grid-template:'s' auto 'p' auto 'h' auto 'w' auto 'l' auto 'a' auto/1fr}" \
	".w{text-align:left}}\n" \
	"@media print{#f{display:none}details{content-visibility:visible}}\n"

/* Ten thousand rows at once would take a browser seconds: the first PAGE_ROWS_SHOWN are there from the start, the others
 * lie behind them as text, a line each, and come in small portions while the browser has nothing else to do. A filter
 * chooses among the lines. They are this program's own, escaped as the first ones are. */
#define PAGE_SCRIPT \
	"(function(){'use strict';\n" \
	"function $(i){return document.getElementById(i)}\n" \
	"var box=$('r'),rest=$('rest'),rows=[],texts=null,view=[],at=0,turn=0,waits=0;\n" \
	"function load(){if(rows.length)return;[].forEach.call(box.children,function(e){rows.push(e.outerHTML)});" \
	"if(rest)rest.textContent.split('\\n').forEach(function(l){if(l)rows.push(l)})}\n" \
	"function more(mine){if(mine!==turn)return;var end=Math.min(at+100,view.length);" \
	"box.insertAdjacentHTML('beforeend',view.slice(at,end).join('\\n'));at=end;if(at<view.length)later(mine)}\n" \
	"function later(mine){(window.requestIdleCallback||setTimeout)(function(){more(mine)})}\n" \
	"function words(row){return row.replace(/<[^>]*>/g,' ').replace(/&lt;/g,'<').replace(/&gt;/g,'>').replace(/&quot;/g,'\"')" \
	".replace(/&#39;/g,\"'\").replace(/&amp;/g,'&').toLowerCase()}\n" \
	"function show(){waits=0;load();if(!texts)texts=rows.map(words);" \
	"var state=document.querySelector('input[name=s]:checked').value,asked=$('q').value.toLowerCase().split(/\\s+/).filter(Boolean);\n" \
	"view=rows.filter(function(row,i){return(!state||/class=\"?(.)/.exec(row)[1]===state)&&" \
	"asked.every(function(w){return texts[i].indexOf(w)>=0})});\n" \
	"box.textContent='';at=0;more(++turn);$('n').textContent=view.length+' of '+rows.length+' shown'}\n" \
	"function soon(){if(!waits)waits=setTimeout(show,80)}\n" \
	"$('q').addEventListener('input',soon);$('f').addEventListener('change',soon);$('f').hidden=false;\n" \
	"if(rest)addEventListener('load',function(){setTimeout(function(){if(turn)return;load();view=rows;at=box.children.length;" \
	"later(turn)},100)});\n" \
	"function age(){var m=Math.floor((Date.now()-Date.parse($('m').dateTime))/6e4);" \
	"if(m>=10)$('o').textContent='This page is '+(m<120?m+' minutes':m<2880?Math.floor(m/60)+' hours':" \
	"Math.floor(m/1440)+' days')+' old.'}\n" \
	"age();setInterval(age,6e4)})();\n"

/* What a browser gets that comes without the token: it takes it out of the address and asks with it. */
#define LOADER_SCRIPT \
	"(function(){'use strict';\n" \
	"addEventListener('hashchange',function(){location.reload()});\n" \
	"var k='pixelvault-board',t=location.hash.slice(1),s=document.getElementById('s');\n" \
	"if(t){sessionStorage.setItem(k,t);history.replaceState(null,'','/')}else t=sessionStorage.getItem(k);\n" \
	"if(!t){s.textContent='The address needs its token. Print the whole address with: vault status --url';return}\n" \
	"fetch('/v1/board',{headers:{Authorization:'Bearer '+t},cache:'no-store'}).then(function(a){\n" \
	"if(a.status===401)sessionStorage.removeItem(k);\n" \
	"if(!a.ok)throw new Error(a.status===401?'The token in the address is not the right one. Print the address again with: " \
	"vault status --url':a.status===429?'Too many wrong tokens. Try again in a minute.':a.status===503?" \
	"'The vault is locked. Open it with: vault unlock':'The agent answered '+a.status+'.');\n" \
	"return a.text()}).then(function(h){document.open();document.write(h);document.close()})\n" \
	".catch(function(e){s.textContent=e.message})})();\n"

#define LOADER_BODY \
	"<title>pixelvault</title></head>\n<body><h1>pixelvault</h1><p id=s role=status>Asking the agent...</p>" \
	"<noscript><p>This page needs JavaScript. Without it: vault status --html FILE</p></noscript>\n<script>"

#define PAGE_HEAD \
	"<html lang=en><head><meta charset=utf-8>\n<meta name=viewport content=\"width=device-width,initial-scale=1\">" \
	"<meta name=referrer content=no-referrer><meta name=color-scheme content=\"light dark\">\n"

#define PAGE_FILTER \
	"<div id=f role=search hidden><div><label for=q>Find a Pixel, label, state or advice</label>" \
	"<input id=q type=search autocomplete=off spellcheck=false></div><fieldset><legend>Show</legend>\n"

#define PAGE_LEGEND \
	"<p><small>Strips show the last 30 days: a tall bar is healthy, a middle one not proven, a low one refused; " \
	"nothing where nothing is known. Open a row for its evidence.</small></p>\n"

#define PAGE_FOLD \
	"</main>\n<noscript><p>Without JavaScript only the first rows are shown.</p></noscript>\n" \
	"<script type=\"text/plain\" id=rest>\n"

#define PAGE_NONE "<p>No Pixels are stored. Add one with: vault put PIXEL</p>\n"
/* clang-format on */

#endif
