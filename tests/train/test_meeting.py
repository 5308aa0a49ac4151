"""How the processes of a job find each other, and which device each takes."""

from __future__ import annotations

import threading
import time

import pytest
import torch
import torch.distributed as dist

from multiface.core.errors import ArgumentError, DependencyError
from multiface.train.devices import choose_device, find_device
from multiface.train.distributed import join, meet
from multiface.train.launch import Launch


@pytest.fixture
def store() -> dist.TCPStore:
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def place(store: dist.TCPStore, rank: int, world_size: int, attempt: int = 0) -> Launch:
    return Launch(rank, world_size, rank, world_size, "127.0.0.1", store.port, True, attempt)


def test_a_wrong_number_of_processes_is_said_by_the_first(store: dist.TCPStore) -> None:
    said: list[BaseException] = []

    def arrive(rank: int) -> None:
        try:
            meet(place(store, rank, 3), timeout=1.0)
        except (ArgumentError, SystemExit) as error:
            said.append(error)

    threads = [threading.Thread(target=arrive, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (message,) = [error for error in said if isinstance(error, ArgumentError)]
    assert "expected 3 processes, found 2 after 1 s" in str(message)
    assert [error.code for error in said if isinstance(error, SystemExit)] == [2]


def test_who_waits_longer_than_the_first_process_leaves_with_it_without_a_word(store: dist.TCPStore) -> None:
    """The first process may keep the store, which goes with it."""
    ended: dict[int, object] = {}

    def arrive(rank: int, timeout: float) -> None:
        try:
            meet(place(store, rank, 3), timeout)
        except ArgumentError as error:
            ended[rank] = str(error)
        except SystemExit as error:
            ended[rank] = error.code

    second = threading.Thread(target=arrive, args=(1, 60.0))
    second.start()
    began = time.monotonic()
    arrive(0, 1.0)
    second.join(10.0)
    assert ended[1] == 2 and "found 2 after 1 s" in str(ended[0])
    assert time.monotonic() - began < 5.0


def test_two_processes_of_one_rank_are_refused(store: dist.TCPStore) -> None:
    meet(place(store, 0, 1), timeout=5.0)
    with pytest.raises(ArgumentError, match="two processes are rank 0"):
        meet(place(store, 0, 1), timeout=5.0)
    meet(place(store, 0, 1, attempt=1), timeout=5.0)  # the launcher started it again


def test_nobody_there_to_meet(store: dist.TCPStore) -> None:
    port = store.port
    del store
    with pytest.raises(ArgumentError, match="cannot meet"):
        meet(Launch(1, 2, 1, 2, "127.0.0.1", port + 1, True), timeout=1.0)


def test_no_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_nccl_available", lambda: False)
    with pytest.raises(DependencyError, match="NCCL"):
        join(Launch(0, 2, 0, 2, "127.0.0.1", 1), torch.device("cuda:0"))


class TestDevices:
    @pytest.fixture(autouse=True)
    def gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
        self.current: list[torch.device] = []

        def set_device(device: torch.device) -> None:
            assert device.index is not None, "as PyTorch's own"
            self.current.append(device)

        monkeypatch.setattr(torch.cuda, "set_device", set_device)

    def test_the_place_on_the_machine_chooses(self) -> None:
        assert choose_device(None, Launch(6, 8, 2, 4, agent_store=True)) == torch.device("cuda:2")
        assert choose_device("cuda", Launch(6, 8, 2, 4, agent_store=True)) == torch.device("cuda:2")
        assert choose_device("cpu", Launch(6, 8, 2, 4)) == torch.device("cpu")
        assert find_device(None, Launch(7, 8, 3, 4, agent_store=True)) == torch.device("cuda:3")
        assert self.current == [torch.device("cuda:2")] * 2

    def test_the_gpu_that_is_asked_for_becomes_the_current_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "empty", lambda *size, device: None)
        assert choose_device("cuda:1") == torch.device("cuda:1") and self.current == [torch.device("cuda:1")]

    def test_a_process_alone_stays_on_the_current_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "empty", lambda *size, device: None)
        for name in (None, "cuda"):
            assert choose_device(name) == torch.device("cuda") and not self.current

    def test_more_processes_than_gpus(self) -> None:
        with pytest.raises(ArgumentError, match=r"more processes on this machine than GPUs.*--nproc_per_node=4"):
            choose_device(None, Launch(0, 8, 0, 8, agent_store=True))

    def test_one_gpu_for_all_by_name(self) -> None:
        with pytest.raises(ArgumentError, match="one GPU for several"):
            choose_device("cuda:1", Launch(0, 2, 0, 2))

    def test_slurm_may_show_each_process_one_gpu_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        assert choose_device(None, Launch(3, 4, 3, 4)) == torch.device("cuda:0")
        with pytest.raises(ArgumentError, match="at most 1"):
            choose_device(None, Launch(3, 4, 3, 4, agent_store=True))
