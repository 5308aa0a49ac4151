"""Who a process is, by its launcher's variables."""

from __future__ import annotations

import os

import pytest

from multiface.core.errors import ArgumentError
from multiface.train.launch import Launch, first_host, is_first_process, read_launch

TORCHRUN = {
    "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": "2",
}  # fmt: skip
SLURM = {
    "SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "9", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "123456",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
}  # fmt: skip


def test_no_launcher_is_one_process() -> None:
    assert read_launch({}) == Launch()
    # In a Slurm batch script there are tasks to come, but this is one process.
    assert read_launch({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}).world_size == 1


def test_torchrun() -> None:
    launch = read_launch(TORCHRUN)
    assert launch == Launch(5, 8, 1, 4, "a", 29500, True, 2, "torchrun x")
    assert not is_first_process(TORCHRUN) and is_first_process({**TORCHRUN, "RANK": "0"})


def test_a_launcher_without_a_name_is_known_by_its_process() -> None:
    unnamed = {**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}
    assert str(os.getppid()) in str(read_launch(unnamed).job)
    assert read_launch(unnamed).job == read_launch({**unnamed, "TORCHELASTIC_RESTART_COUNT": "3"}).job


def test_slurm() -> None:
    launch = read_launch({**SLURM, "SLURM_RESTART_COUNT": "1"})
    assert (launch.rank, launch.world_size, launch.local_rank, launch.address) == (9, 16, 1, "gpu03")
    assert launch.attempt == 1 and launch.job == "slurm 123456" and 20_000 <= launch.port < 40_000
    assert read_launch({**SLURM, "MASTER_ADDR": "b", "MASTER_PORT": "1234"}).port == 1234


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu7", "gpu7"), ("gpu[03-05,9],login1", "gpu03"), ("a[1,2]b[3-4]", "a1b3"), ("x-[001-010]", "x-001"), ("n1,n2", "n1"),
    ],
)  # fmt: skip
def test_the_first_of_a_list_of_machines(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"RANK": "8"}, "rank 8 of 8"), ({"RANK": ""}, "RANK is not set"), ({"WORLD_SIZE": "many"}, "WORLD_SIZE is no number"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"), ({"WORLD_SIZE": "0"}, "do not fit"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(change: dict[str, str], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        read_launch({**TORCHRUN, **change})
