"""A model seen by cameras that were never there: textured picture and shaded geometry."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from multiface.data import Normalisation
from multiface.geometry import Topology
from multiface.models import FaceModel
from multiface.render import interpolate, rasterize, render_mesh
from multiface.show.compositor import picture_bytes
from multiface.show.display import to_display_tensor

SMOOTHING = 2
"""Pictures are rendered this many times larger each way and averaged down: the renderer itself has no anti-aliasing."""

CLAY = (196, 190, 182)
"""Display colour of fully lit geometry."""


class Avatar:
    """Decodes latent codes and renders them; neutral colour correction, since no camera of the capture is meant.

    Args:
        model: In evaluation mode.
        normalisation: On the model's device.
        topology: Triangles and uv.
        device: Where the model is.
        size: (height, width) of the pictures.
    """

    def __init__(
        self,
        model: FaceModel,
        normalisation: Normalisation,
        topology: Topology,
        device: torch.device,
        size: tuple[int, int],
    ) -> None:
        self.model, self.normalisation, self.topology, self.device, self.size = model, normalisation, topology, device, size
        self._faces = torch.from_numpy(topology.faces.astype(np.int64)).to(device)

    @torch.no_grad()
    def mean_latent(self) -> torch.Tensor:
        """(1, Z) code of the mean face: what the encoder makes of the mean texture and the mean mesh of its training."""
        model = self.model
        texture = torch.zeros(1, 3, model.tex_size, model.tex_size, device=self.device)
        return model.encode(texture, torch.zeros(1, model.mesh_inp_size // 3, 3, device=self.device))[0]

    @torch.no_grad()
    def mesh(self, latent: torch.Tensor) -> np.ndarray:
        """(V, 3) vertices of one (1, Z) code seen from the front, head space, mm."""
        view = torch.tensor([[0.0, 0.0, 1.0]], device=self.device)
        return self.normalisation.denormalise_vertices(self.model.decode(latent, view).vertices)[0].cpu().numpy()

    @torch.no_grad()
    def pictures(self, latents: torch.Tensor, views: np.ndarray, projections: np.ndarray) -> list[torch.Tensor]:
        """Textured picture and shaded geometry of B codes.

        Args:
            latents: (B, Z).
            views: (B, 3) directions to the cameras, head space.
            projections: (B, 3, 4) head space (mm) -> pixels of pictures of ``size``.

        Returns:
            Two uint8 (B, H, W, 3) pictures in display colours, black where nothing is.
        """
        view = torch.from_numpy(views).to(self.device)
        decoded = self.model.decode(latents, view)
        vertices = self.normalisation.denormalise_vertices(decoded.vertices)
        texture = self.normalisation.denormalise_texture(decoded.texture) / 255.0
        size, larger = self._larger(projections)
        picture = render_mesh(vertices, larger, self.topology, texture, size).image
        return [to_display_tensor(picture_bytes(_smaller(picture.clamp(0, 1)))), self._clay(vertices, view, larger, size)]

    def _larger(self, projections: np.ndarray) -> tuple[tuple[int, int], torch.Tensor]:
        scale = torch.tensor([SMOOTHING, SMOOTHING, 1.0], device=self.device)[:, None]
        return (self.size[0] * SMOOTHING, self.size[1] * SMOOTHING), torch.from_numpy(projections).to(self.device) * scale

    def _clay(
        self, vertices: torch.Tensor, view: torch.Tensor, projection: torch.Tensor, size: tuple[int, int]
    ) -> torch.Tensor:
        raster = rasterize(vertices, projection, self._faces, size)
        normals = F.normalize(interpolate(vertex_normals(vertices, self._faces), self._faces, raster), dim=1)
        light = F.normalize(view + torch.tensor([0.25, 0.45, 0.0], device=view.device), dim=1)  # over the viewer's shoulder
        facing = torch.einsum("bchw,bc->bhw", normals, light).abs()
        shade = torch.where(raster.triangle >= 0, 0.12 + 0.88 * facing, 0.0)
        colour = torch.tensor(CLAY, dtype=torch.float32, device=view.device)[:, None, None] / 255
        return picture_bytes(_smaller(shade[:, None] * colour))


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(B, V, 3) unit normals: the mean of the adjacent triangles' by area; (0, 0, 0) where a vertex has none."""
    corners = vertices[:, faces]
    normals = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(1, faces[:, corner], normals)
    return F.normalize(total, dim=-1)


def _smaller(picture: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(picture, SMOOTHING)
