"""Detection: how a dropped file is written, judged from its bytes."""

from dropload.detection.layout import detect_layout

__all__ = ["detect_layout"]
