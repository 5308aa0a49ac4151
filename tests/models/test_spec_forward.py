"""The whole pass, written once more as the spec states it, straight from a state_dict and without any of our layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from multiface.models import build_model
from small_models import SMALL, perturb, random_inputs


class SpecNetwork:
    """Evaluates one state_dict, section by section of the published description."""

    def __init__(self, arch, state):
        self.arch, self.state = arch, state

    def weight(self, name, out_dimension=0):
        w, g = self.state[f"{name}.weight"], self.state[f"{name}.g"]
        shape = [1] * w.ndim
        shape[out_dimension] = -1
        return w * g.view(shape) / (w * w).sum().sqrt()

    def linear(self, name, x):
        return x @ self.weight(name).T + self.state[f"{name}.bias"]

    def conv(self, name, x, stride):
        return F.conv2d(x, self.weight(name), self.state[f"{name}.bias"], stride, padding=1)

    def residual(self, name, x, activate=True):
        if self.arch != "res" or name.startswith("warp"):
            return x
        y = self.conv(name, x, 1) + x
        return lrelu(y) if activate else y

    def unit(self, name, x):
        inner, outer = self.state[f"{name}.deconv.bias"], self.state[f"{name}.bias"]
        if self.arch == "bilinear" and not name.startswith("warp"):
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            return F.conv2d(x, self.weight(f"{name}.deconv"), inner, padding=1) + outer
        return F.conv_transpose2d(x, self.weight(f"{name}.deconv", 1), inner, stride=2, padding=1) + outer

    def down(self, name, x):
        x = self.residual(f"{name}.res1", lrelu(self.conv(f"{name}.conv1", x, 2)))
        return self.residual(f"{name}.res2", lrelu(self.conv(f"{name}.conv2", x, 2)))

    def up(self, name, x, last=False):
        x = self.residual(f"{name}.res1", lrelu(self.unit(f"{name}.conv1", x)))
        x = self.unit(f"{name}.conv2", x)
        return self.residual(f"{name}.res2", x if last else lrelu(x), activate=not last)

    def encode(self, avg_tex, verts):
        x = avg_tex
        for block in range(4):
            x = self.down(f"enc.texture_encoder.downsample.{block}", x)
        texture_code = lrelu(self.linear("enc.texture_fc", x.reshape(len(x), -1)))
        mesh_code = lrelu(self.linear("enc.mesh_fc", verts.reshape(len(verts), -1)))
        code = self.linear("enc.fc", torch.cat((texture_code, mesh_code), 1))
        half = code.shape[1] // 2
        return 0.1 * code[:, :half], 0.01 * code[:, half:]

    def decode(self, z, view):
        view_code, z_code = lrelu(self.linear("dec.view_fc", view)), lrelu(self.linear("dec.z_fc", z))
        mesh = self.linear("dec.mesh_fc", z_code).reshape(len(z), -1, 3)
        x = lrelu(self.linear("dec.texture_fc", torch.cat((view_code, z_code), 1)))
        side = int((x.shape[1] // z.shape[1]) ** 0.5)
        x = x.reshape(len(z), z.shape[1], side, side)
        for block in range(4):
            x = self.up(f"dec.texture_decoder.upsample.{block}", x, last=block == 3)
        return x, mesh

    def grid(self, z, size):
        f = lrelu(self.linear("warp.mlp.2", lrelu(self.linear("warp.mlp.0", z)))).reshape(-1, 256, 2, 2)
        for block in range(4):
            f = self.up(f"warp.upsample.{block}", f)
        f = F.interpolate(f, size=(size, size), mode="bilinear", align_corners=False)
        f = F.conv2d(f, self.state["warp.upsample.5.weight"], self.state["warp.upsample.5.bias"], padding=1)
        return (f / size + self.state["warp.normal_grid"]).permute(0, 2, 3, 1)

    def colours(self, texture, cams):
        w = torch.cat((self.state["cc.weight_anchor"], self.state["cc.weight"]))[cams]
        b = torch.cat((self.state["cc.bias_anchor"], self.state["cc.bias"]))[cams]
        return texture * w + b


def lrelu(x):
    return torch.where(x > 0, x, 0.2 * x)


def test_the_whole_pass_is_the_one_of_the_spec(arch):
    model = perturb(build_model(arch, **SMALL)).double()
    spec = SpecNetwork(arch, model.state_dict())
    avg_tex, verts, view = (tensor.double() for tensor in random_inputs(2))
    cams = torch.tensor([4, 0])
    with torch.no_grad():
        out = model(avg_tex, verts, view, cams)
        mean, logstd = spec.encode(avg_tex, verts)
        texture, mesh = spec.decode(mean, view)
    kl = 0.5 * torch.mean(torch.exp(2 * logstd) + mean**2 - 1 - 2 * logstd)
    torch.testing.assert_close(out.latent_mean, mean)
    torch.testing.assert_close(out.kl, kl)
    torch.testing.assert_close(out.vertices, mesh)
    if arch == "warp":
        grid = spec.grid(mean, 256)
        torch.testing.assert_close(out.grid, grid)
        torch.testing.assert_close(out.unwarped_texture, texture)
        texture = F.grid_sample(texture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    torch.testing.assert_close(out.texture, spec.colours(texture, cams))
