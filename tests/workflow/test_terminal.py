"""Progress where there is no terminal: plain lines, rarely; nothing at all with --quiet."""

import re

import pytest

from workflow import terminal as progress
from workflow.terminal import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.21, "3.2 s"),
        (59.9, "59.9 s"),
        (60, "1 min 00 s"),
        (250.4, "4 min 10 s"),
        (3599.9, "1 h 00 min"),
        (7501, "2 h 05 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_fast_stage_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("simulate", 3, "shards") as stage:
        for _ in range(3):
            stage.advance(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r" +simulate +3/3 shards +in \d+\.\d s\n", captured.err)


def test_a_slow_stage_says_how_long_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Progress("train", 40, "epochs") as stage:
        for done in range(1, 41):
            clock[0] += 1.0
            stage.reach(done)
    lines = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "train 10/40 epochs 1.0/s, 30.0 s left",
        "train 20/40 epochs 1.0/s, 20.0 s left",
        "train 30/40 epochs 1.0/s, 10.0 s left",
        "train 40/40 epochs 1.0/s, 0.0 s left",
        "train 40/40 epochs in 40.0 s",
    ]


def test_lines_hold_no_escape_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("simulate", 1, "shards") as stage:
        stage.say("a shard is damaged")
        stage.advance(1)
    text = capsys.readouterr().err
    assert "a shard is damaged\n" in text
    assert "\x1b" not in text and "\r" not in text


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with Progress("simulate", 2, "shards", quiet=True) as stage:
        stage.say("a shard is damaged")
        stage.advance(1)
        stage.advance(1)
    assert capsys.readouterr() == ("", "")


def test_nothing_to_do_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("simulate", 0, "shards"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_stage_that_fails_does_not_claim_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), Progress("simulate", 2, "shards") as stage:
        stage.advance(1)
        raise RuntimeError
    assert capsys.readouterr().err == ""
