"""`--like FILE`: a file of answers becomes settings, or an error that names what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Settings
from ocihaul.emulator.cli import _parser, _settings, main
from ocihaul.emulator.settings import AnswersError, read_answers, settings_like


def written(path: Path, **answers: Any) -> Path:
    file = path / "answers.json"
    file.write_text(json.dumps({"format": 1, "answers": answers, "unanswered": {}}))
    return file


def settings(*args: str) -> Settings:
    parser = _parser()
    return _settings(parser.parse_args(args), parser)


def test_without_answers_all_is_as_usual() -> None:
    assert settings() == Settings()


def test_answers_become_settings_and_null_changes_nothing(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        refused_body="drained",
        refresh_moves_the_end=False,
        old_token_refused_after=12,
        sess_exp_in=["refresh"],
        rate_limit=None,
    )
    assert settings("--like", str(file)) == Settings(
        early_close=False,
        refresh_extends=False,
        refresh_kills_old_after=12.0,
        sess_exp_in=frozenset({"refresh", "upst"}),
    )


def test_other_options_win(tmp_path: Path) -> None:
    file = written(tmp_path, old_token_refused_after=12, refused_body="closed", rate_limit=7)
    given = settings("--like", str(file), "--refresh-kills-old-after", "3", "--no-early-close")
    assert given == Settings(refresh_kills_old_after=3.0, early_close=False, rate_limit=7.0)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sends_100_continue", "yes"),
        ("refusal_comes", "late"),
        ("refused_body", []),
        ("par_ignores", ["x-other"]),
        ("par_ignores", "if-match"),
        ("par_refusal", 500),
        ("par_refusal", True),
        ("unknown_upload_at_part", "two words"),
        ("rate_limit", -1),
        ("rate_limit", "none"),
        ("old_token_refused_after", float("nan")),
        ("smallest_part", 0),
        ("declared_crc32c_told", 1),
        ("no_such_answer", True),
    ],
)
def test_an_answer_that_no_service_gives_is_named(name: str, answer: Any) -> None:
    with pytest.raises(AnswersError, match=name):
        settings_like({name: answer})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 2}', '{"format": 1, "answers": 3}'])
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(AnswersError):
        read_answers(file)
    with pytest.raises(SystemExit) as ended:
        main(["--like", str(file)])
    assert ended.value.code == 2
    assert str(file) in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="No such file"):
        read_answers(tmp_path / "none.json")
