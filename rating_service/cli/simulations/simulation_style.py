"""How the report of a simulation looks: on a screen, in the dark, and on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2430; --dim: #667085; --line: #e4e7ec; --page: #f7f8fa; --sheet: #fff;
  --now: #98a2b3; --simulated: #2f6fde; --less: #157f4d; --more: #c2341d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #2b323d; --page: #11151b;
  --sheet: #191f28; --now: #667085; --simulated: #6ea1ff; --less: #4cc38a; --more: #ff7a63; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 32px 20px 80px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 0 0 16px; overflow-wrap: anywhere; }
h3 { font-size: 13px; margin: 28px 0 8px; color: var(--dim); font-weight: 600; }
.lead { color: var(--dim); margin: 0 0 24px; } .lead b { color: var(--ink); }
section { background: var(--sheet); border: 1px solid var(--line); border-radius: 12px; padding: 24px;
  margin-bottom: 28px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; } .tile h3 { margin: 0; }
.tile b { display: block; font-size: 20px; overflow-wrap: anywhere; }
.tile i { font-style: normal; color: var(--dim); font-size: 13px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { text-align: left; color: var(--dim); font-weight: 500; font-size: 12px; padding: 4px 10px 4px 0; }
td { border-top: 1px solid var(--line); padding: 7px 10px 7px 0; vertical-align: middle; overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bars { width: 26%; } small { color: var(--dim); }
.bar { display: block; height: 7px; border-radius: 4px; margin: 2px 0; min-width: 2px; }
.bar.now, .bar.same { background: var(--now); } .bar.simulated { background: var(--simulated); }
.bar.less { background: var(--less); } .bar.more { background: var(--more); }
td.less, .tile.less b { color: var(--less); } td.more, .tile.more b { color: var(--more); }
tr.moved td:first-child { font-weight: 600; } td.best { font-weight: 700; color: var(--less); }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; padding: 0; } }
"""
