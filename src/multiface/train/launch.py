"""Who this process is in a job of several, by what its launcher put into the environment; and how devices are dealt out.

No PyTorch here: commands ask before anything heavy is imported.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multiface.core.errors import ArgumentError

FIRST_SLURM_PORT, SLURM_PORTS = 20_000, 20_000


@dataclass(frozen=True)
class Launch:
    """One process's place in its job.

    Attributes:
        rank: 0 to ``world_size - 1`` over all machines.
        world_size: Processes of the job.
        local_rank: Place among those of this machine; chooses the device.
        local_world_size: Processes on this machine; None when the launcher does not tell.
        address, port: Where the job's store is (none for a single process).
        agent_store: Whether the launcher keeps that store itself; otherwise rank 0 does.
        attempt: How often the launcher has started the job again.
        job: A name that stays the same when the launcher starts the job again and that no other job has; None when
            there is no launcher.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int | None = 1
    address: str = ""
    port: int = 0
    agent_store: bool = False
    attempt: int = 0
    job: str | None = None


def read_launch(environment: Mapping[str, str] | None = None) -> Launch:
    """What torchrun, ``python -m torch.distributed.launch`` or Slurm's ``srun`` say; one process when none of them does.

    Raises:
        ArgumentError: numbers that are missing, no numbers, or do not fit each other.
    """
    environment = os.environ if environment is None else environment
    if "WORLD_SIZE" in environment:
        return _checked(_from_torchrun(environment))
    # SLURM_NTASKS also stands in a batch script, where there is one process; only srun sets the step's number of tasks.
    if int(environment.get("SLURM_STEP_NUM_TASKS") or 1) > 1 and "SLURM_PROCID" in environment:
        return _checked(_from_slurm(environment))
    return Launch(attempt=_attempt(environment), job=_job(environment))


def is_first_process(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this is the process that speaks for the job, as far as the environment tells."""
    try:
        return read_launch(environment).rank == 0
    except ArgumentError:
        return (os.environ if environment is None else environment).get("RANK", "0") in ("", "0")


def _from_torchrun(environment: Mapping[str, str]) -> Launch:
    world_size = _number(environment, "WORLD_SIZE")
    rank = _number(environment, "RANK", 0 if world_size == 1 else None)
    local_size = _number(environment, "LOCAL_WORLD_SIZE", 0)
    return Launch(
        rank=rank,
        world_size=world_size,
        local_rank=_number(environment, "LOCAL_RANK", rank if not local_size else rank % local_size),
        local_world_size=local_size or None,
        address=environment.get("MASTER_ADDR", "") if world_size == 1 else _text(environment, "MASTER_ADDR"),
        port=_number(environment, "MASTER_PORT", 0 if world_size == 1 else None),
        agent_store=environment.get("TORCHELASTIC_USE_AGENT_STORE", "") == "True",
        attempt=_attempt(environment),
        job=_job(environment),
    )


def _from_slurm(environment: Mapping[str, str]) -> Launch:
    job = _number(environment, "SLURM_JOB_ID", 0)
    nodes = environment.get("SLURM_STEP_NODELIST") or _text(environment, "SLURM_JOB_NODELIST")
    tasks = re.match(r"\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    one_machine = environment.get("SLURM_STEP_NUM_NODES") == "1"
    return Launch(
        rank=_number(environment, "SLURM_PROCID"),
        world_size=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(environment, "SLURM_LOCALID"),
        local_world_size=int(tasks.group()) if tasks and one_machine else None,
        address=environment.get("MASTER_ADDR") or first_host(nodes),
        port=_number(environment, "MASTER_PORT", FIRST_SLURM_PORT + job % SLURM_PORTS),
        attempt=_attempt(environment),
        job=_job(environment),
    )


def first_host(nodes: str) -> str:
    """The first machine of a Slurm node list: ``gpu[03-05,9],login1`` -> ``gpu03``."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first.group() if first else "")


def _attempt(environment: Mapping[str, str]) -> int:
    return _number(environment, "TORCHELASTIC_RESTART_COUNT", 0) + _number(environment, "SLURM_RESTART_COUNT", 0)


def _job(environment: Mapping[str, str]) -> str | None:
    if environment.get("SLURM_JOB_ID"):
        return f"slurm {environment['SLURM_JOB_ID']}"
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    run = environment["TORCHELASTIC_RUN_ID"]
    # Where nobody named the job its launcher has to do: it is our parent, and lives on when it starts us again.
    return f"torchrun {run}" if run not in ("", "none") else f"torchrun {socket.gethostname()} {_parent()}"


def _parent() -> str:
    process = os.getppid()
    try:  # with the moment of its start, since process numbers are used again
        started = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = ""
    return f"{process} {started}".strip()


def _checked(launch: Launch) -> Launch:
    if launch.world_size < 1 or not 0 <= launch.rank < launch.world_size:
        raise ArgumentError(
            "the launcher's numbers do not fit each other",
            expected=f"a rank from 0 to {launch.world_size - 1}",
            found=f"rank {launch.rank} of {launch.world_size} processes",
            remedy="Start all processes with the same number of processes: torchrun does that by itself",
        )
    return launch


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ArgumentError(
            f"several processes are announced, but {name} is not set",
            found=f"WORLD_SIZE={environment.get('WORLD_SIZE', '')}",
            remedy="Start them with torchrun, or unset WORLD_SIZE to run one process",
        )
    return value


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "") if default is not None else _text(environment, name)
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"the environment variable {name} is no number", found=text) from None
