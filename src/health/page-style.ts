/** The style of the status page. The page's policy allows exactly this text. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b1f24; --soft: #59626d; --line: #d8dde3;
  --good: #1a7f37; --bad: #c5221f; --warn: #8a5a00; --idle: #c3cad2; --focus: #0a66d0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0f1317; --card: #181d23; --text: #e8ebee; --soft: #9aa5b1; --line: #2d343c;
    --good: #4cc26a; --bad: #ff7b72; --warn: #e0a83c; --idle: #3d4650; --focus: #6db3ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem clamp(.75rem, 3vw, 2rem) 2rem; background: var(--page);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header { border-left: .4rem solid; padding: .1rem 0 .1rem 1rem; margin: .5rem 0 1.5rem; }
header.good { border-color: var(--good); } header.bad { border-color: var(--bad); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; } .good > h1 { color: var(--good); } .bad > h1 { color: var(--bad); }
header p, footer p, section > p { color: var(--soft); margin: .25rem 0 .5rem; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .25rem .75rem; justify-content: space-between; }
section { margin: 0 0 2rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
article, .scroll, .problems li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
article { padding: 1rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
ul { list-style: none; margin: 0; padding: 0; }
.problems li { border-left: .3rem solid var(--bad); padding: .5rem .75rem; margin: 0 0 .5rem; }
.checks li { padding: .15rem 0; }
code { font: .875rem/1.4 ui-monospace, monospace; color: var(--soft); }
.ok, .complete, .checks .good { color: var(--good); } .error, .failed, .crashed { color: var(--bad); }
.stale, .never, .stopped { color: var(--warn); }
svg { display: block; width: 100%; height: auto; }
.strip { max-width: 15rem; margin: .3rem 0; } .runs { height: 4.5rem; margin: 0 0 .25rem; }
rect { fill: var(--idle); } rect.complete { fill: var(--good); }
rect.failed, rect.crashed { fill: var(--bad); } rect.stopped { fill: var(--warn); }
summary { cursor: pointer; color: var(--soft); width: max-content; margin: 0 0 .5rem; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } tbody tr { border-top: 1px solid var(--line); }
td:nth-child(3) { white-space: normal; min-width: 12rem; }
`;
