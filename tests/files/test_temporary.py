from pathlib import Path

from lipwright.files.temporary import instead_of, shown


def test_what_stands_for_a_pipe_is_called_so_and_is_gone_at_the_end() -> None:
    with instead_of("standard-input") as folder:
        (folder / "input").write_bytes(b"some")
        assert shown(folder / "input") == "standard input"
    assert not folder.exists()


def test_other_files_are_shown_by_their_path(tmp_path: Path) -> None:
    assert shown(Path("clips/a.mp4")) == "clips/a.mp4"
    lookalike = tmp_path / "lipwright-instead-standard-input.x" / "input"
    assert shown(lookalike) == str(lookalike)
