"""The screen loss of every backend against the same formula on the reference's pictures, in float64."""

from __future__ import annotations

import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.render import render_mesh, screen_loss
from render_scenes import Scene, ball, soup

NAMES = ("vertices", "projection", "texture")


def double(scene: Scene) -> Scene:
    return Scene(scene.vertices.double(), scene.projection.double(), scene.topology, scene.texture.double(), scene.size)


def photo_of(scene: Scene) -> torch.Tensor:
    batch = max(len(scene.vertices), len(scene.projection), len(scene.texture))
    return torch.randint(0, 256, (batch, *scene.size, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def weight_image(channels: int = 3, size: tuple[int, int] = (11, 6)) -> torch.Tensor:
    return torch.rand(channels, *size, generator=torch.Generator().manual_seed(2))


def by_formula(scene: Scene, photo, weight, interpolation, detach_weight=False) -> torch.Tensor:
    """In float64, with tex_std = 51: a factor of 25."""
    shown = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, interpolation, "reference")
    share = (shown.triangle >= 0)[:, None].double()
    if weight is not None:
        share = render_mesh(
            scene.vertices, scene.projection, scene.topology, weight[None].double(), scene.size, interpolation, "reference"
        ).image
    share = share.detach() if detach_weight else share
    difference = shown.image - photo.permute(0, 3, 1, 2) / 255
    return 25 * (difference.square() * share).sum() / photo.numel()


def by_backend(target, scene: Scene, photo, weight, interpolation, **options):
    vertices, projection, texture, photo = (
        t.to(target.device) for t in (scene.vertices, scene.projection, scene.texture, photo)
    )
    weight = None if weight is None else weight.to(target.device)
    return screen_loss(
        vertices, projection, scene.topology, texture, photo, weight=weight, tex_std=51.0,
        interpolation=interpolation, backend=target.backend, **options,
    )  # fmt: skip


def compare(target, scene: Scene, weight, interpolation="perspective", detach_weight=False) -> None:
    photo = photo_of(scene)
    found_scene, expected_scene = scene.with_gradients(), double(scene).with_gradients()
    found = by_backend(target, found_scene, photo, weight, interpolation, detach_weight=detach_weight).loss
    expected = by_formula(expected_scene, photo, weight, interpolation, detach_weight)
    assert found.shape == ()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    (2 * found).backward()
    (2 * expected).backward()
    for name in NAMES:
        gradient, wanted = getattr(found_scene, name).grad, getattr(expected_scene, name).grad
        assert float((gradient - wanted).abs().max()) <= 2e-4 * float(wanted.abs().max()), name


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
@pytest.mark.parametrize("detach_weight", [False, True])
def test_value_and_gradients(target, interpolation, detach_weight):
    # nothing symmetrical: at texel centres the gradient jumps, and rounding decides
    compare(target, soup(21, batch=2, size=(33, 40), extent=120.0), weight_image(), interpolation, detach_weight)


@pytest.mark.parametrize("channels", [None, 1])
def test_weights_of_one_channel_and_none(target, channels):
    compare(target, soup(22, batch=1, size=(24, 30), extent=120.0), None if channels is None else weight_image(channels))


def test_several_items_with_one_texture(target):
    scene = soup(3, batch=2, size=(20, 24), extent=120.0)
    compare(target, Scene(scene.vertices, scene.projection, scene.topology, scene.texture[:1], scene.size), weight_image())


def test_texture_that_is_channels_last_or_of_half_precision(target):
    scene = ball(size=(24, 30))
    photo, weight = photo_of(scene), weight_image()
    half = scene.texture.bfloat16()
    expected = by_backend(target, Scene(*parts(scene)[:3], half.float(), scene.size), photo, weight, "perspective").loss
    last = half.contiguous(memory_format=torch.channels_last).requires_grad_()
    found = by_backend(target, Scene(*parts(scene)[:3], last, scene.size), photo, weight, "perspective").loss
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-5)
    found.backward()
    assert last.grad is not None
    assert last.grad.dtype == torch.bfloat16
    assert float(last.grad.abs().max()) > 0


def test_picture_on_request(target):
    scene = ball(size=(24, 30))
    result = by_backend(target, scene.with_gradients(), photo_of(scene), weight_image(), "affine", return_image=True)
    assert result.image is not None
    assert not result.image.requires_grad
    assert torch.allclose(result.image.cpu(), target.render(scene, "affine").image, atol=1e-6)
    assert by_backend(target, scene, photo_of(scene), weight_image(), "affine").image is None


def test_no_gradient_where_none_is_asked_for(target):
    scene = ball(size=(24, 30))
    photo, weight = photo_of(scene), weight_image()
    assert not by_backend(target, scene, photo, weight, "affine").loss.requires_grad
    with torch.no_grad():
        assert not by_backend(target, scene.with_gradients(), photo, weight, "affine").loss.requires_grad
    textured = Scene(*parts(scene)[:3], scene.texture.clone().requires_grad_(), scene.size)
    by_backend(target, textured, photo, weight, "affine").loss.backward()
    assert float(textured.texture.grad.abs().sum()) > 0


def parts(scene: Scene):
    return scene.vertices, scene.projection, scene.topology, scene.texture, scene.size


BAD = {
    "photo of floats": (lambda p, w: (p.float(), w), "photo has the wrong type"),
    "photo with channels first": (lambda p, w: (p.permute(0, 3, 1, 2), w), "photo has the wrong shape"),
    "photos of another batch": (lambda p, w: (p[:2], w), "batch sizes of .* photo"),
    "photo without rows": (lambda p, w: (p[:, :0], w), r"picture size cannot be used.*\(0, 9\)"),
    "photo elsewhere": (lambda p, w: (p.to("meta"), w), "photo and vertices must be on one device.*cpu.*meta"),
    "weight elsewhere": (lambda p, w: (p, w.to("meta")), "weight and vertices must be on one device.*cpu.*meta"),
    "weight without rows": (lambda p, w: (p, w[:, :0]), "weight has the wrong shape"),
    "weight of two channels": (lambda p, w: (p, w[:2]), "weight has the wrong shape"),
    "weight with a batch": (lambda p, w: (p, w[None]), "weight has the wrong shape"),
    "weight of bytes": (lambda p, w: (p, w.byte()), "weight has the wrong type"),
}


@pytest.mark.parametrize("change, message", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(change, message):
    scene = soup(0, triangles=4, batch=3, size=(8, 9))
    photo, weight = change(photo_of(scene), weight_image())
    with pytest.raises(ArgumentError, match=message):
        screen_loss(scene.vertices, scene.projection, scene.topology, scene.texture, photo, weight=weight)


def test_texture_must_have_the_channels_of_the_photo():
    scene = soup(0, triangles=4, channels=4, size=(8, 9))
    with pytest.raises(ArgumentError, match="channels of the photo"):
        screen_loss(scene.vertices, scene.projection, scene.topology, scene.texture, photo_of(scene))
