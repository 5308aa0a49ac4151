"""Options of ``multiface train``: the published ones, spelled as published, then our own.

Only standard-library types here, so that ``--help`` needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from multiface.core.errors import ArgumentError

_PATHS = {"data_dir", "krt_dir", "framelist_test", "framelist_train", "test_segment_config", "camera_config"} | {
    "loss_weight_mask",
    "result_path",
    "model_ckpt",
    "resume",
}

Architecture = Literal["base", "warp", "res", "non", "bilinear"]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What both training and testing need to know of the data."""

    data_dir: Path | None = None
    """Capture folder; may also be given as the first word, without the option's name."""
    krt_dir: Path | None = None
    """Camera calibration file (a file, despite its published name); <data_dir>/KRT when absent."""
    framelist_test: Path | None = None
    """Frames to take test segments from; <data_dir>/frame_list.txt when absent."""
    test_segment_config: Path | None = None
    """JSON {"segment": [prefixes]} of held-out segments; EXP_ROM and EXP_free_face when absent."""
    camera_config: Path | None = None
    """JSON with train, test and visual camera names; all cameras that have textures when absent."""
    camera_setting: str = "full"
    """Key of the setting inside --camera_config."""
    loss_weight_mask: Path | None = None
    """Weight image of the screen loss in texture space; <data_dir>/loss_weight_mask.png if there, else the same everywhere."""
    resolution: tuple[int, int] | None = None
    """Height and width at which pictures are compared; the photos' own when absent."""
    tex_size: int | None = None
    """Texture size of the model (256, 512, 1024 or 2048); the capture's when absent."""
    mesh_inp_size: int | None = None
    """Number of mesh coordinates (3 x vertices); checked against the capture when given."""
    val_batch_size: int = 8
    """Images per batch in validation and test."""
    val_num: int = 500
    """Batches used in one validation, and in each fitting pass of the adapted test (plus one, as published)."""
    lambda_verts: float = 1.0
    """Factor of the vertex loss."""
    lambda_screen: float = 0.0
    """Factor of the screen loss; above 0, photos are read and pictures are rendered."""
    lambda_tex: float = 1.0
    """Factor of the texture loss."""
    lambda_kl: float = 1e-2
    """Factor of the Kullback-Leibler term."""
    interpolation: Literal["affine", "perspective"] = "affine"
    """How attributes are interpolated over a triangle on screen; affine as published."""
    n_worker: int = 8
    """Threads that read and decode."""
    cache_gb: float = 1.0
    """Decoded images are kept in memory up to this many GB, so that small captures are read once."""
    drop_broken: bool = True
    """Leave out and count samples whose files are broken; --no-drop_broken stops at the first one."""
    device: str | None = None
    """PyTorch device, for example cuda:0; the GPU of this process when there is one, else the CPU."""
    local_rank: int = 0
    """Accepted for launchers that pass it; the environment decides."""
    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""

    def __post_init__(self) -> None:
        for name in ("val_batch_size", "n_worker"):
            _at_least(self, name, 1)
        for name in ("lambda_verts", "lambda_screen", "lambda_tex", "lambda_kl", "val_num", "cache_gb"):
            _at_least(self, name, 0)
        if self.resolution is not None and min(self.resolution) < 1:
            raise ArgumentError("--resolution must be two positive numbers, height and width", found=self.resolution)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DataOptions):
    """Everything that decides a training run; checkpoints carry it."""

    arch: Architecture = "base"
    """Network architecture."""
    nlatent: int = 256
    """Size of the latent code."""
    lr: float = 3e-4
    """Learning rate of both optimisers."""
    lr_decay: float = 0.95
    """The main learning rate is multiplied by this after each epoch. The published 0.95 is meant for epochs of many thousand
    updates; where an epoch has few, choose a value nearer to 1."""
    train_batch_size: int = 16
    """Images per training batch and process, as published: N processes take N times as many for an update, and --lr stays."""
    total_batch_size: int | None = None
    """Images per update over all processes, whatever their number, instead of --train_batch_size; a resumed run keeps it."""
    epochs: int = 50
    """Passes over the training samples, unless --max_iter ends it earlier."""
    max_iter: int = 200_000
    """Training stops after this many updates."""
    log_every: int = 1000
    """Updates between two lines of text and two sets of pictures."""
    val_every: int = 5000
    """Updates between two validations, each with a checkpoint; there is always one of each at the end."""
    save_every: int | None = None
    """Updates between two checkpoints; as --val_every when absent."""
    keep_states: int = 2
    """How many of the last training states to keep for --resume; the best model is kept besides."""
    timeout: float = 600.0
    """With several processes: seconds after which one that does not come, or makes no progress, ends the job."""
    pass_thres: float = 50.0
    """A batch whose loss is this many times the last accepted one is discarded."""
    framelist_train: Path | None = None
    """Frames to train on; <data_dir>/frame_list.txt when absent."""
    result_path: Path = Path("runs/experiment")
    """Folder for checkpoints, logs and pictures."""
    model_ckpt: Path | None = None
    """Start from the weights of this checkpoint (ours or published)."""
    seed: int = 0
    """Seed of initial weights, sample order and latent noise."""
    resume: Path | None = None
    """Go on with the run in this folder exactly where it stopped."""
    override: bool = False
    """With --resume: accept options and data that differ from those of the run."""
    views_per_frame: int = 1
    """Cameras taken of each frame in a batch; 1 is the published sampling, more is faster."""
    reading_processes: int | None = None
    """On a GPU: processes among which the --n_worker threads are divided, so that they do not hold up training; 0: none. When
    absent, one for four threads where pictures are packed raw or as LZ4 and less than a quarter of them stays decoded in memory
    (--cache_gb), and else none."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16: convolutions compute in bfloat16; fp32: everything in single precision; auto: bf16 on GPUs that have it."""
    compile: bool = True
    """Compile the networks and record whole steps as CUDA graphs, on GPUs; --no-compile launches each operation by itself."""
    screen_weight: Literal["attached", "detached"] = "attached"
    """Whether the rendered weight image passes gradients to the mesh (attached, as published)."""
    validation: Literal["frozen", "adapt-copy", "published", "none"] = "frozen"
    """frozen: nothing is fitted; adapt-copy: a copy's colour correction is fitted to the test cameras first; published:
    the model's own is, and training goes on with it; none: no test set is needed, and there is no best model."""
    overwrite: bool = False
    """Start afresh in a result folder that already holds a run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nlatent", "train_batch_size", "epochs", "max_iter", "log_every", "val_every", "views_per_frame"):
            _at_least(self, name, 1)
        for name in ("total_batch_size", "save_every", "keep_states"):
            if getattr(self, name) is not None:
                _at_least(self, name, 1)
        for name in ("lr", "lr_decay", "pass_thres", "timeout"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"--{name} must be above 0", found=getattr(self, name))
        if max(self.lambda_verts, self.lambda_tex, self.lambda_screen) <= 0:
            raise ArgumentError(
                "nothing to learn: --lambda_verts, --lambda_tex and --lambda_screen are all 0",
                remedy="Give at least one of them a value above 0",
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for the checkpoint and the run folder."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The inverse of :meth:`to_json`; names that this version does not know are left out."""
        typed = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        for name in _PATHS & typed.keys():
            typed[name] = None if typed[name] is None else Path(typed[name])
        if typed.get("resolution") is not None:
            height, width = typed["resolution"]
            typed["resolution"] = (int(height), int(width))
        return cls(**typed)


@dataclass(frozen=True, kw_only=True)
class TestConfig(DataOptions):
    """Options of ``multiface test``."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    model_path: Path | None = None
    """Checkpoint to measure, ours or published."""
    models: Path | None = None
    """Measure every checkpoint in this folder (best_model where there is one) and compare them in one table."""
    protocol: str | None = None
    """Name (`multiface protocols` lists them) or file of a protocol; it names segments, frames and cameras exactly."""
    allow_missing: bool = False
    """Measure what is there of a protocol that names absent frames or cameras; every table says so."""
    report: Literal["both", "frozen", "adapted"] = "both"
    """frozen: nothing fitted, latent mean; adapted: the published protocol, which fits encoder and colour correction to the
    test frames."""
    result_path: Path = Path("runs/test")
    """Folder for result.txt, the table and pictures."""
    framelist_train: Path | None = None
    """Accepted as published; testing does not need it."""
    arch: Architecture | None = None
    """Checked against the checkpoint when given."""
    nlatent: int | None = None
    """Checked against the checkpoint when given."""
    lr: float = 3e-4
    """Learning rate of the adapted protocol's two optimisers."""
    passes: int = 8
    """Passes of the adapted protocol; the last one is reported."""
    images: int = 4
    """How many batches of pictures to write."""
    worst: int = 6
    """How many of the worst frames the page shows."""
    page: bool = True
    """Write report.html; --no-page leaves it out."""
    lpips_weights: Path | None = None
    """AlexNet weights for LPIPS (alexnet-owt-7be5be79.pth); PyTorch's own folder of downloads is looked at when absent.
    Nothing is ever downloaded."""
    seed: int = 0
    """Seed of the latent noise of the adapted protocol."""
    max_iter: int = 0
    """Accepted as published; unused in testing."""
    log_every: int = 0
    """Accepted as published; unused in testing."""
    val_every: int = 0
    """Accepted as published; unused in testing."""
    pass_thres: float = 50.0
    """Accepted as published; unused in testing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, "passes", 1)
        for name in ("images", "worst"):
            _at_least(self, name, 0)


def _at_least(config: object, name: str, smallest: float) -> None:
    value = getattr(config, name)
    if not value >= smallest:
        raise ArgumentError(f"--{name} is too small", expected=f"at least {smallest}", found=value)
