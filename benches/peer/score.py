"""PESQ of recordings: score.py BAND IDEAL.wav HEARD.wav [BAND IDEAL.wav HEARD.wav]... prints one score a line; BAND is nb or wb."""

import sys
import wave

import numpy
from pesq import pesq


def read(path):
    with wave.open(path) as file:
        return file.getframerate(), numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


jobs = sys.argv[1:]
for band, ideal, heard in zip(jobs[::3], jobs[1::3], jobs[2::3]):
    rate, reference = read(ideal)
    print(pesq(rate, reference, read(heard)[1], band))
