from __future__ import annotations

import pytest

from benchmarks.user_metrics.__main__ import HERE, METRICS, section


def test_every_file_has_its_section() -> None:
    assert {path.stem for path in HERE.glob("[!_]*.py")} == set(METRICS)


@pytest.mark.slow
def test_a_section_has_the_file_and_what_was_printed_without_the_machine_s_folders() -> None:
    text = section("with_a_wrong_hint", "Told first.", "10s")
    assert text.startswith(
        "\n## With a wrong hint\n\nTold first.\n\n```python\n# with_a_wrong_hint.py\nfrom autosurrogate"
    )
    assert text.count("```sh\nautosurrogate check with_a_wrong_hint.py\n```") == 1
    assert text.count("```sh\nautosurrogate fit --metric with_a_wrong_hint.py --budget 10s\n```") == 1
    refused = (
        "```text\nautosurrogate: metric 'first_is_relevant' (first_is_relevant of with_a_wrong_hint.py): "
        "parameter 'preds' is hinted list[float]"
    )
    assert text.count(refused) == 2
    assert text.count("(exit code 2)\n```") == 2
