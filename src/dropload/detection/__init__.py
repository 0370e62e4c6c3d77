"""Detection: how a dropped file is written, judged from its bytes."""

from dropload.detection.layout import detect_layout, lay_out, lay_out_beginning

__all__ = ["detect_layout", "lay_out", "lay_out_beginning"]
