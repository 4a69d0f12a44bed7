"""Training: a picture to the weights of an integer cell that grows it, keeps it and heals it. Only a GPU needs PyTorch."""

from nca_hw.train.backend import train
from nca_hw.train.outcome import Progress, Trained
from nca_hw.train.settings import TrainSettings

__all__ = ["Progress", "TrainSettings", "Trained", "train"]
