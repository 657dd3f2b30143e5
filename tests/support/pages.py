"""Parses the documentation: headings, links, tables, code blocks and commands to run.

Fenced ``console`` blocks are run in the order of the page, except those directly below
``<!-- by hand -->``. ``<!-- service: NAME=value … -->`` sets variables of the service for all
blocks that follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import ROOT

RUNNABLE = {"curl", "grep", "python", "timeout"}
"""Programs that a test may run."""

BY_HAND = "<!-- by hand -->"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += [
    ROOT / name for name in ("SECURITY.md", "LICENSES.md", "bench/README.md", "findings/README.md")
]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_SERVICE = re.compile(r"<!-- service: (.*?) -->")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]* src(?:set)?=\"([^\"]+)\"")
_INLINE = re.compile(r"`([^`\n]+)`")
_ASSIGNMENTS = re.compile(r"^(?:[A-Z_]+=\S* )+")
_PROMPT, _MORE = "$ ", "> "


@dataclass(frozen=True)
class Command:
    """A command of a block, and its output on the page."""

    line: int
    text: str
    output: str


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    line: int
    is_by_hand: bool

    @property
    def commands(self) -> list[Command]:
        found: list[Command] = []
        lines = self.text.splitlines()
        number = 0
        while number < len(lines):
            assert lines[number].startswith(_PROMPT), f"line {self.line + number}: no prompt"
            start, command = number, lines[number].removeprefix(_PROMPT)
            number += 1
            while number < len(lines) and lines[number].startswith(_MORE):
                command += "\n" + lines[number].removeprefix(_MORE)
                number += 1
            program = _ASSIGNMENTS.sub("", command).split(maxsplit=1)[0]
            assert program in RUNNABLE, f"line {self.line + start}: {program} is to be run by hand"
            output = []
            while number < len(lines) and not lines[number].startswith(_PROMPT):
                output.append(lines[number])
                number += 1
            found.append(Command(self.line + start, command, "\n".join(output)))
        return found


class Page:
    """A page of the documentation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.prose = _FENCE.sub("", self.text)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def blocks(self) -> list[Block]:
        return [self._block(match) for match in _FENCE.finditer(self.text)]

    @property
    def steps(self) -> list[Command | dict[str, str]]:
        """The commands to run and the service's variables to set, in the page's order."""
        found: list[tuple[int, Command | dict[str, str]]] = []
        for match in _SERVICE.finditer(self.text):
            variables = dict(word.split("=", 1) for word in match[1].split())
            found.append((self._line_of(match.start()), variables))
        for block in self.blocks:
            if block.language == "console" and not block.is_by_hand:
                found += [(command.line, command) for command in block.commands]
        return [step for _, step in sorted(found, key=lambda pair: pair[0])]

    @property
    def code(self) -> Iterator[str]:
        """Each line of the code blocks, and each piece of inline code."""
        for block in self.blocks:
            yield from block.text.replace("\\\n", " ").splitlines()
        yield from _INLINE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of links and images, except those on other sites."""
        found = [first or second for first, second in _LINK.findall(self.prose)]
        return [link for link in found if not re.match(r"[a-z]+:", link)]

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub makes from the headings."""
        kept = (
            re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(self.prose)
        )
        return {text.strip().replace(" ", "-") for text in kept}

    def table(self, header: str) -> list[list[str]]:
        """Return the cells of all rows of the tables whose first heading is ``header``."""
        rows: list[list[str]] = []
        is_in = False
        for line in self.prose.splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not cells:
                is_in = False
            elif cells[0] == header:
                is_in = True
            elif is_in and set(cells[0]) != {"-"}:
                rows.append(cells)
        return rows

    def _block(self, match: re.Match[str]) -> Block:
        above = self.text[: match.start()].rstrip("\n").rpartition("\n")[2]
        line = self._line_of(match.start()) + 1
        indent = len(match["indent"])
        text = "\n".join(row[indent:] for row in match["text"].splitlines())
        return Block(match["language"], text, line, above.strip() == BY_HAND)

    def _line_of(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1


def codes(cell: str) -> list[str]:
    """Return the inline code in a table cell."""
    return _INLINE.findall(cell)
