"""All losses of a tokenizer at the weights of the step."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from worldfoundry.models.tokenizer import losses
from worldfoundry.models.tokenizer.discriminator import PatchDiscriminator
from worldfoundry.models.tokenizer.flow import DIS_FLOW, dis_fields, load_raft
from worldfoundry.models.tokenizer.perceptual import load_extractor
from worldfoundry.training.objectives import Loss
from worldfoundry.training.tokenizer_config import TokenizerObjective


class TokenizerLosses:
    """Weighs and adds up what the objective asks for; what no stage asks for is never built.

    Only ``judge`` has weights that learn; they are the trainer's to step.
    """

    def __init__(self, objective: TokenizerObjective, *, seed: int, device: torch.device):
        self.objective = objective
        used = {name for name, s in objective.schedules().items() if s.first_step is not None}
        self.extractor = self.estimate = self.judge = None
        self.inputs: dict[str, str] = {}
        """Digests of the weights that judge and measure and do not learn, by the setting that names them."""
        if used & {"features.perceptual", "features.gram"}:
            self.extractor = load_extractor(objective.features.extractor).to(device)
            self.inputs["objective.features.extractor"] = self.extractor.sha256[:16]
        if "flow.weight" in used and objective.flow.estimator != DIS_FLOW:
            path = Path(objective.flow.estimator)
            self.estimate = load_raft(path)
            self.inputs["objective.flow.estimator"] = _file_digest(path)
        if "adversarial.weight" in used:
            generator = torch.Generator().manual_seed(seed)
            self.judge = PatchDiscriminator(objective.adversarial.channels, generator=generator).to(device)

    def total(
        self, truth: Float[Tensor, "b 3 t h w"], recon: Float[Tensor, "b 3 t h w"], *, step: int
    ) -> Loss:
        """What the tokenizer minimises at ``step``; the parts are without their weights."""
        weights = {name: schedule.at(step) for name, schedule in self.objective.schedules().items()}
        error = losses.absolute_error(truth, recon)
        parts = {"l1": error.mean(), "mse": error.square().mean()}
        parts["psnr"] = -10 * torch.log10(parts["mse"].detach() / 4)
        total = self.objective.l1_weight * parts["l1"] + self.objective.mse_weight * parts["mse"]
        found = self._features(truth, recon, weights)
        if weights["flow.weight"] and truth.shape[2] > 1:
            found["flow.weight"] = self._flow(truth, recon).mean()
        if weights["adversarial.weight"]:
            found["adversarial.weight"] = self._verdict(recon)
        for name, value in found.items():
            total = total + weights[name] * value
            parts[name.removesuffix(".weight").removeprefix("features.")] = value
        return total, {name: value.detach() for name, value in parts.items()}

    def judge_loss(self, truth: Float[Tensor, "b 3 t h w"], recon: Float[Tensor, "b 3 t h w"]) -> Loss:
        """What the judge minimises, of a batch that the tokenizer reconstructed."""
        assert self.judge is not None, "there is a judge where its loss is asked for"
        real, fake = self.judge(truth), self.judge(recon.detach())
        total = losses.discriminator_hinge(real.float(), fake.float())
        return total, {"judge/real": real.detach().mean(), "judge/fake": fake.detach().mean()}

    def _features(self, truth: Tensor, recon: Tensor, weights: dict[str, float]) -> dict[str, Tensor]:
        if not (weights["features.perceptual"] or weights["features.gram"]):
            return {}
        assert self.extractor is not None, "features that any stage asks for were loaded"
        frames = truth.shape[2]
        with torch.no_grad():
            of_truth = self.extractor(_images(truth))
        of_recon = self.extractor(_images(recon))
        found, layers = {}, self.extractor.layer_weights
        if weights["features.perceptual"]:
            found["features.perceptual"] = losses.perceptual_distance(of_truth, of_recon, layers).mean()
        if weights["features.gram"]:
            found["features.gram"] = losses.gram_distance(
                of_truth, of_recon, layers, num_frames=frames
            ).mean()
        return found

    def _flow(self, truth: Tensor, recon: Tensor) -> Tensor:
        if self.estimate is not None:
            return losses.flow_distance(truth, recon, estimate=self.estimate)
        forward, backward = dis_fields(truth)
        return losses.warped_error(truth, recon, forward=forward, backward=backward)

    def _verdict(self, recon: Tensor) -> Tensor:
        assert self.judge is not None, "a judge that any stage asks for was built"
        self.judge.requires_grad_(False)  # its own update comes behind, from its own loss
        verdict = losses.generator_hinge(self.judge(recon).float())
        self.judge.requires_grad_(True)
        return verdict


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _images(clip: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "n 3 h w"]:
    return clip.transpose(1, 2).flatten(0, 1)
