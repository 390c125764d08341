"""The networks of VQ lip-sync as they run at inference: two graphs with tensors in and out.

:class:`ReferenceEncoder` runs once per face track, :class:`FrameRenderer` once per batch of frames.
They hold no files and no state, so that a backend can compile each as one graph.

Gupta et al. (WACV 2023, section 3.1 and figure 3): pose code of the frame whose lower half is
blanked, reference codes, a window of speech; the Face-VQGAN's decoder draws the result.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import DRAWN_BOX, blank_lower_half
from lipwright.models import pose_cells
from lipwright.models.cosine_quantiser import CosineQuantiser
from lipwright.models.gallery_generator import GalleryGenerator, ReferenceCodes, soft_codes
from lipwright.models.generator import CodeGenerator
from lipwright.models.known_norms import KnownNorms, RecordedNorms
from lipwright.models.quantiser import VectorQuantiser
from lipwright.models.region_decoder import RegionDecoder
from lipwright.models.vqgan import VQGAN, Encoder

Snap = Literal["soft", "raw", "entry"]
SILENCE = -4.0
"""Silence in log-mel, as in ``media.mel``."""


class CodeEncoder(nn.Module):
    """The encoding half of a VQGAN: image to codebook entries."""

    def __init__(self, vqgan: VQGAN) -> None:
        super().__init__()
        self.encoder: Encoder = vqgan.encoder
        self.pre = vqgan.pre
        self.quantiser: VectorQuantiser | CosineQuantiser = vqgan.quantiser

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, D, h, w) entries."""
        return self.nearest_entries(self.pre(self.encoder(x)))

    def nearest_entries(self, z: Tensor) -> Tensor:
        """(B, D, h, w) before quantisation -> entries of the codebook."""
        if isinstance(self.quantiser, CosineQuantiser):
            z = F.normalize(z.float(), dim=1, eps=1e-6)
        return self.quantiser.lookup(self.quantiser.nearest(z))


class ReferenceEncoder(nn.Module):
    """Reference pictures to what the generator attends to.

    For the paper's generator the face and pose codes of every picture. For
    :class:`~lipwright.models.gallery_generator.GalleryGenerator` codes, keys, poses and motions,
    what the group normalisations do (:mod:`lipwright.models.known_norms`), and the residual of
    each reference frame: the picture less its reconstruction by the VQGAN inside
    :data:`~lipwright.face_regions.DRAWN_BOX`, the picture itself around it.

    Args:
        face: the Face-VQGAN, for pictures of side S.
        pose: the encoder of the Pose-VQGAN.
        generator: either generator.
        face_sigma: standard deviation of the face codebook.
        pose_sigma: of the pose codebook.
        finer: references have the side finer * S, and so has their residual.
    """

    def __init__(
        self,
        face: VQGAN,
        pose: CodeEncoder,
        generator: GalleryGenerator | CodeGenerator,
        face_sigma: float,
        pose_sigma: float,
        finer: int = 1,
    ) -> None:
        super().__init__()
        self.finer = finer
        self.encode_face = CodeEncoder(face)
        self.encode_pose = pose
        self.post = face.post
        self.decoder = face.decoder
        self.generator = generator
        self.face_sigma = face_sigma
        self.pose_sigma = pose_sigma

    def norms(self, reference: Tensor) -> Tensor:
        """(R, 3, kS, kS) -> (R, N): what the group normalisations of pose encoder and decoder do to
        whole pictures, by the statistics of each.
        """
        small = self._small(reference)
        norms = RecordedNorms()
        pose_cells.latent(self.encode_pose, blank_lower_half(small), norms)
        self.decoder(self.post(self.encode_face(small)), norms)
        return norms.vector()

    def forward(
        self, reference: Tensor, motions: Tensor, norms: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Encode references.

        Args:
            reference: (R, 3, kS, kS) in [-1, 1].
            motions: (R, K) of their lips.
            norms: (1, N) mean of :meth:`norms` over some reference frames of the face; None: over
                all of these.

        Returns:
            Tensors, leading dimension 1; for the paper's generator, which knows no motions, codes
            of R rows.
        """
        small = self._small(reference)
        codes = self.encode_face(small) / self.face_sigma
        blanked = blank_lower_half(small)
        if isinstance(self.generator, CodeGenerator):
            return codes, self.encode_pose(blanked) / self.pose_sigma
        recorded = self.norms(reference) if norms is None else norms
        known = KnownNorms(recorded.mean(dim=0, keepdim=True))
        if self.generator.ask is None:  # only these cells of the poses are compared
            compared = pose_cells.compared_codes(self.encode_pose, blanked, known)
            held = (compared / self.pose_sigma).unsqueeze(0)
            references = self.generator.compared_references(codes.unsqueeze(0), held, motions[None])
        else:
            latent = pose_cells.latent(self.encode_pose, blanked, known)
            poses = self.encode_pose.nearest_entries(latent) / self.pose_sigma
            references = self.generator.encode_references(
                codes.unsqueeze(0), poses.unsqueeze(0), motions.unsqueeze(0)
            )
        # Drawn as frames will be: what they lack then is what this reference lacks.
        z = self.post(codes * self.face_sigma)
        region = RegionDecoder(self.decoder, DRAWN_BOX, z.shape[-1])
        drawn = region(z, known).clamp(-1.0, 1.0)
        residual = reference - region.framed(enlarged(drawn, self.finer), self.finer)
        return *references.pack(), recorded.unsqueeze(0), residual.flatten(1).unsqueeze(0)

    def _small(self, reference: Tensor) -> Tensor:
        return F.avg_pool2d(reference, self.finer) if self.finer > 1 else reference


def enlarged(picture: Tensor, times: int) -> Tensor:
    """(B, 3, S, S) -> (B, 3, times * S, times * S), bilinear."""
    if times == 1:
        return picture
    return F.interpolate(picture, scale_factor=float(times), mode="bilinear", align_corners=False)


class FrameRenderer(nn.Module):
    """Frames, speech and references to speaking faces.

    Args:
        face, pose: the two VQGANs.
        generator: either generator.
        face_sigma, pose_sigma: standard deviations of the codebooks.
        snap: what is decoded: ``raw`` code vectors, the most likely ``entry``, or the ``soft``
            expected entry.
        articulation: gain of the lip motion. Uncertain predictions shrink towards the neutral
            mouth; the published demo of ATVGnet has a gain for the same reason (Chen et al.,
            CVPR 2019, code). With the paper's generator, of its speech vector beyond that of
            silence.
        finer: see :class:`ReferenceEncoder`.
    """

    book: Tensor

    def __init__(
        self,
        face: VQGAN,
        pose: CodeEncoder,
        generator: GalleryGenerator | CodeGenerator,
        face_sigma: float,
        pose_sigma: float,
        snap: Snap = "soft",
        articulation: float = 1.0,
        finer: int = 1,
    ) -> None:
        super().__init__()
        self.encode_face = CodeEncoder(face)
        self.encode_pose = pose
        self.generator = generator
        self.post = face.post
        self.decoder = face.decoder
        self.face_sigma = face_sigma
        self.pose_sigma = pose_sigma
        self.snap = snap
        self.articulation = articulation
        self.finer = finer
        self.register_buffer("book", face.quantiser.codebook.detach().clone() / face_sigma)

    def forward(self, faces: Tensor, predicted: Tensor, *references: Tensor) -> tuple[Tensor, ...]:
        """Draw a batch.

        Args:
            faces: (B, 3, S, S) in [-1, 1].
            predicted: the condition: for the paper's generator the mel windows (B, 80, steps), for
                a gallery the lip motion (B, K) that a speech network has predicted from it.
            references: from :class:`ReferenceEncoder` without the residual, leading dimension 1;
                for the paper's generator the face codes (B, D, h, w) of one reference per frame.

        Returns:
            With the paper's generator the speaking faces and the reconstruction of the source
            faces, both (B, 3, S, S) in [-1, 1]. With a gallery the part of the speaking faces that
            lies in :data:`~lipwright.face_regions.DRAWN_BOX`, (B, 3, k h, k w), which lacks the
            residual of the references that were mixed; lip motions (B, K): the wanted one, and
            the mean of these references; their weights (B, R).
        """
        if isinstance(self.generator, CodeGenerator):
            pose = self.encode_pose(blank_lower_half(faces)) / self.pose_sigma
            codes = self.generator.draw(
                pose, references[0], self._speech_vectors(self.generator, predicted)
            )
            codes = self._nearest(codes) if self.snap == "entry" else codes
            both = torch.cat([codes * self.face_sigma, self.encode_face(faces)])
            return self._decode(both).chunk(2)
        # The frames of a shot have the statistics of its references, whichever are mixed.
        norms = KnownNorms(references[4].mean(dim=1))
        codes, wanted, weights = self._draw(faces, predicted, references, norms)
        z = self.post(codes * self.face_sigma)
        region = RegionDecoder(self.decoder, DRAWN_BOX, z.shape[-1])
        drawn = enlarged(region(z, norms).clamp(-1.0, 1.0), self.finer)
        return drawn, wanted, weights @ references[3][0], weights

    def _speech_vectors(self, generator: CodeGenerator, mel: Tensor) -> Tensor:
        """Speech vectors (B, dim), ``articulation`` times as far from silence."""
        speech: Tensor = generator.speech(mel)
        if self.articulation == 1.0:
            return speech
        rest: Tensor = generator.speech(torch.full_like(mel[:1], SILENCE))
        return rest + self.articulation * (speech - rest)

    def _decode(self, codes: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(self.post(codes)).clamp(-1.0, 1.0)
        return drawn

    def _draw(
        self, faces: Tensor, predicted: Tensor, references: tuple[Tensor, ...], norms: KnownNorms
    ) -> tuple[Tensor, ...]:
        """Codes (B, D, h, w), the wanted motion (B, K), weights of the references (B, R)."""
        assert isinstance(self.generator, GalleryGenerator)
        lips = self.articulation * predicted
        known, blanked = ReferenceCodes(*references[:4]), blank_lower_half(faces)
        if self.generator.ask is None:
            compared = pose_cells.compared_codes(self.encode_pose, blanked, norms)
            drawn, weights = self.generator.mix(compared / self.pose_sigma, known, lips)
        else:
            latent = pose_cells.latent(self.encode_pose, blanked, norms)
            pose = self.encode_pose.nearest_entries(latent) / self.pose_sigma
            drawn, weights = self.generator(pose, known, lips)
        if self.snap == "raw":
            return drawn, lips, weights
        logits = self.generator.logits(drawn, self.book)
        if self.snap == "soft":
            return soft_codes(logits, self.book), lips, weights
        best: Tensor = logits.argmax(1)
        return F.embedding(best, self.book).permute(0, 3, 1, 2), lips, weights

    def _nearest(self, codes: Tensor) -> Tensor:
        flat = codes.permute(0, 2, 3, 1)
        distance = (self.book * self.book).sum(1) - 2.0 * flat @ self.book.T
        nearest: Tensor = distance.argmin(-1)
        return F.embedding(nearest, self.book).permute(0, 3, 1, 2)
