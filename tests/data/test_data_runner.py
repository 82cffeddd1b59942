"""Runners: order, bounded memory, errors that name their batch, killed processes, and the same bytes from each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import build_files as bf
import pytest
from runner_functions import doubler, failing_at

from bimedix2.data.build.line import build
from bimedix2.data.runner import LocalRunner, Runner, batched, open_runner, with_batches
from bimedix2.errors import BiMediX2Error, ConfigError, DataError, RecordError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ray_runner() -> Iterator[Runner]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'bimedix2[ray]'")
    with open_runner("ray", 2) as runner:
        yield runner


def test_results_come_in_order_from_several_processes_and_few_batches_wait() -> None:
    drawn = 0

    def coming() -> Iterator[list[int]]:
        nonlocal drawn
        for batch in batched(range(200), 5):
            drawn += 1
            yield batch

    processes, numbers = set(), []
    for taken, (process, doubled) in enumerate(LocalRunner(2).map_batches(doubler, coming())):
        assert drawn - taken <= 2 * 2 + 1
        processes.add(process)
        numbers += doubled
    assert numbers == list(range(0, 400, 2))
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2


@pytest.mark.parametrize(("workers", "count"), [(1, 50), (4, 10)])
def test_one_worker_and_small_inputs_need_no_process(workers: int, count: int) -> None:
    found = list(LocalRunner(workers).map_batches(doubler, batched(range(count), 5)))
    assert {process for process, _ in found} == {os.getpid()}
    assert [number for _, batch in found for number in batch] == list(range(0, 2 * count, 2))


def test_no_batch_gives_no_result() -> None:
    assert list(LocalRunner(2).map_batches(doubler, [])) == []


def test_batches_stay_with_their_results() -> None:
    pairs = list(with_batches(LocalRunner(2), doubler, batched(range(20), 3)))
    assert all([2 * number for number in batch] == doubled for batch, (_, doubled) in pairs)
    assert sum(len(batch) for batch, _ in pairs) == 20


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("how", "kind"), [("record", RecordError), ("other", DataError)])
def test_an_error_names_its_batch(workers: int, how: str, kind: type[BiMediX2Error]) -> None:
    with pytest.raises(kind) as caught:
        list(LocalRunner(workers).map_batches(partial(failing_at, 13, how), batched(range(40), 5)))
    check_error(caught.value, how)


def check_error(error: BiMediX2Error, how: str) -> None:
    if how == "record":  # the error itself, whole
        assert isinstance(error, RecordError)
        assert (error.path, error.row, error.field) == ("file.jsonl", 13, "turns")
        assert error.message_ar == "file.jsonl، الصف 13، الحقل turns: فردي"
        assert error.__notes__ == ["batch 3 (items 11 to 15)"]
    else:
        assert error.code == "batch_failed"
        assert error.message.startswith("Batch 3 (items 11 to 15) failed: ValueError at ")
        assert "الدفعة 3" in error.message_ar
        assert "text of a record" not in error.message + error.message_ar


def test_a_worker_that_dies_is_told_and_nothing_hangs() -> None:
    with pytest.raises(DataError) as caught:
        list(LocalRunner(2).map_batches(partial(failing_at, 13, "killed"), batched(range(400), 5)))
    assert caught.value.code == "worker_lost"
    assert "--workers" in caught.value.message_ar


def test_a_step_that_stops_taking_results_leaves_no_process() -> None:
    results = LocalRunner(2).map_batches(doubler, batched(range(1000), 5))
    process, _ = next(results)
    results.close()  # type: ignore[attr-defined]
    assert wait_until(lambda: not alive(process))


def test_killed_with_kill_9_it_takes_its_workers_along(tmp_path: Path) -> None:
    code = (
        "import sys; from functools import partial; from pathlib import Path; from runner_functions import slow\n"
        "from bimedix2.data.runner import LocalRunner\n"
        "list(LocalRunner(2).map_batches(partial(slow, Path(sys.argv[1])), ([1] for _ in range(1000))))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(HERE)})
    assert wait_until(lambda: len(list(tmp_path.glob("*.worker"))) == 2)
    workers = [int(path.stem) for path in tmp_path.glob("*.worker")]
    assert all(map(alive, workers))
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(map(alive, workers)))


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(true: object, seconds: float = 30) -> bool:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(true())


def test_ray_gives_the_same_results_and_errors(ray_runner: Runner) -> None:
    total = list(ray_runner.map_batches(partial(partial, sum), batched(range(200), 7)))
    assert total == [sum(batch) for batch in batched(range(200), 7)]
    with pytest.raises(DataError) as caught:
        list(ray_runner.map_batches(partial(partial, sum), [[1], [2], ["text of a record"]]))
    assert caught.value.code == "batch_failed"
    assert caught.value.message.startswith("Batch 3 (items 3 to 3) failed: TypeError")
    assert "text of a record" not in caught.value.message


def test_without_ray_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        open_runner("ray")
    for text in (caught.value.message, caught.value.message_ar):
        assert "pip install 'bimedix2[ray]'" in text


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small set is work for several processes."""
    for module in ("build.check_step", "privacy.records", "decontaminate.find", "decontaminate.dedup"):
        monkeypatch.setattr(f"bimedix2.data.{module}.BATCH", 8)


@pytest.fixture(scope="module")
def set_and_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    recipe = bf.write_set(tmp_path_factory.mktemp("runner"))
    out = recipe.parent / "one"
    build(bf.place_of(recipe, out))
    return recipe, bf.contents(out)


@pytest.mark.usefixtures("small_batches")
def test_a_build_makes_the_same_bytes_in_one_process_and_in_two(set_and_bytes: tuple[Path, dict[str, str]]) -> None:
    same_bytes(LocalRunner(2), "two", *set_and_bytes)


@pytest.mark.usefixtures("small_batches")
def test_a_build_makes_the_same_bytes_on_ray(ray_runner: Runner, set_and_bytes: tuple[Path, dict[str, str]]) -> None:
    same_bytes(ray_runner, "ray", *set_and_bytes)


def same_bytes(runner: Runner, name: str, recipe: Path, wanted: dict[str, str]) -> None:
    from dataclasses import replace

    out = recipe.parent / "one"
    out.rename(recipe.parent / "put aside")  # a build's files name their folder
    try:
        build(replace(bf.place_of(recipe, out), runner=runner))
        assert bf.contents(out) == wanted
    finally:
        out.rename(recipe.parent / name)
        (recipe.parent / "put aside").rename(out)
