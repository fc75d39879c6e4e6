"""Which labels go together in Planet's data, and a smaller table of labels with the same structure."""

import re

import numpy as np
from numpy.typing import NDArray

from imbpipe.datasets.drawing.tail import lifted
from imbpipe.types import Labels

CODES = {
    "c": "clear",
    "y": "partly_cloudy",
    "z": "haze",
    "o": "cloudy",
    "p": "primary",
    "a": "agriculture",
    "r": "road",
    "w": "water",
    "v": "cultivation",
    "h": "habitation",
    "b": "bare_ground",
    "l": "selective_logging",
    "m": "artisinal_mine",
    "f": "blooming",
    "s": "slash_burn",
    "q": "conventional_mine",
    "d": "blow_down",
}

CLASS_NAMES = tuple(sorted(CODES.values()))

FLOOR = 1 / 47
"""The rarest label's share of the chips, so that 2,400 chips hold 51 of it and a fifth of them 10."""

# How many of the 40,479 chips of Planet: Understanding the Amazon from Space carry which labels
# (train_v2.csv; a label named twice in a row counts once), without the one chip that has no weather label.
PLANET_SETS = """
cp13636 yp3630 o2089 cpw1850 cpar1680 cpa1626 zp1471 cpav1187 cparh1125 cpaw712 ypa692 ypw595 ypar527
cprw504 cpv472 cparw449 cparv389 zpw314 ypav312 cparvh282 cw261 cpf248 cparwh240 cpr235 cpawv227 ypaw196
cprh194 zpa172 yparh169 cpb161 cpah145 cpwm141 cpwv136 zpar130 cpavh126 yparv123 yparw115 yprw112 cprwh106
cpl105 zpaw103 ypr102 cparwv92 cprl89 cpawh86 zpav73 cpwh72 cb71 cparwvh69 car69 crh64 ypawv61 cprb58
cpwb58 cpvh57 cpd55 yparvh55 zprw55 carh55 cpwvh53 ypv52 ca46 cprwm44 zparw41 cph41 cprvh41 zpr41 cprv39
cpawvh38 zpv34 zparh34 cpavs33 yparwh32 cpvs32 cparhb31 cparb30 crb29 ypah27 caw27 cpab27 ypavh25 yparwv24
yw24 zparv24 ypb23 cpas21 cprhb21 yprh20 cpavl19 zpawv19 ypawh17 yaw17 cpavb16 cpwl16 ypwh16 crwh16
cprwl15 ypwv15 zprh15 ypwm15 ya15 cpm15 cprwvh15 zpah15 cpavf14 carw14 ypf13 cprwb13 zpwh13 cpwf13 carb13
ypq12 cpars12 cpvb12 zparvh12 cpwbm11 ypvh11 cpad11 cpq11 crhb11 zpwv11 cprwv10 cpwhb10 yar10 ypvs10 cps10
ypavs10 cab10 cwb9 cparvl9 yparwvh9 ypd9 yprwh9 cprwhm9 zpwb9 cprwbm9 carv9 cphb8 carhb8 cpvf8 zparwv8
ypawvh8 zprwh8 cprwhb8 cprq8 yprb8 zb7 cprm7 cpahb7 yprvh7 yph7 cparl7 cparwb7 zpb7 cpawb7 ypwb7 ypl6
cparvhs6 cwm6 cprhq6 cprf6 cpawvm6 yarh6 cpaf6 cpawm5 cpawvb5 cpavhs5 yprl5 zar5 zw5 carvh5 cparwhb5
cpavd5 cpal5 cpahs5 ypvb5 cphq5 cprwq5 cpwvhs5 cah5 zpab5 cparvhl4 cparwm4 cpwvhb4 cparhs4 zph4 cwh4
cprbq4 yprwm4 cprwhbm4 cparvhb4 cpwq4 cprvl4 yb4 yparb4 cpws4 ypas4 cpwvs4 ypab4 cprvb4 zpwm4 yprv4
zparwh4 cparwvhb4 cpam4 cpvhb4 ypal3 cparwvhm3 yparhb3 za3 yps3 yprq3 yprhb3 cprvs3 zpawh3 cparm3 ypad3
cplf3 zpavh3 cpvl3 cpbs3 cpwvb3 cprbl3 cpwvl3 zpf3 cpwhm3 zpawvh3 cpbd3 carwh3 cphs3 yrh2 cpawvhm2
cparwvhs2 cpawhs2 cpawhb2 cparwbm2 ypavl2 yprwvh2 cprwvhb2 zaw2 cprwvb2 ypars2 cparws2 cpwblm2 zpvh2 zpvb2
ypwl2 cwbm2 zab2 zparb2 crwbm2 yparhq2 cprvhb2 yparvl2 zprhb2 cparvb2 cparwq2 zpwvh2 cav2 cpvbf2 cpavbs2
cpwvm2 cpwd2 cprwhq2 zparwvh2 crw2 yprhq2 cparq2 yprwq2 cprwhmq2 zprv2 zpl2 cparhq2 zparhb2 zpvs2 cpawq2
ypavhs2 cawb2 cpavhq2 cparvs2 yq2 cpvhs2 cparhl2 carhq2 carvb2 cpaws1 cpvhfs1 cpavhb1 yrw1 cpbsd1 cparwf1
cprwlm1 ypvl1 zprl1 zpawvb1 cawv1 ypvhb1 cprhm1 yparl1 yarb1 cparhf1 zpm1 cparhbq1 zpq1 cpahd1 chb1 crwhb1
cpawvl1 zphs1 carwm1 ypavblf1 carwvh1 yprbq1 cparwvhmq1 cparwhm1 cpavhl1 cpaq1 cpvd1 zparl1 cpwbls1 yphb1
cpavlf1 cpwbl1 cpwvbm1 ypbs1 zarh1 cahb1 cprhl1 cparwvb1 yprm1 yprwhq1 carhbq1 carwhm1 cparwvls1 crwm1
yprbm1 crhq1 cphbl1 cpawvs1 zwh1 cprwvm1 yprwl1 cpwbs1 ypwd1 cparwhq1 cparvhbl1 cphf1 cpvhl1 cpawvf1
cparf1 yprwbm1 ywm1 zprwl1 cpawlm1 cparbm1 cpsd1 zrw1 zprq1 crwb1 y1 ypwvf1 ypvbl1 ypaq1 cpld1 cpvhd1
cparwhbq1 cplm1 yplf1 cprhbq1 yarw1 cpavfd1 cpavfs1 cparvhq1 cparhbs1 yav1 cpbm1 ypm1 cphl1 ypawb1 cprwmq1
ypawm1 cprwhbq1 carwv1 zpawb1 cpwlm1 zprwvh1 yparwhq1 ypahb1 ypwbm1 cparwhl1 cprvhs1 cpawvhb1 zpavf1
cparvf1 ypvhs1 cpavm1 cparwvm1 cr1 zpwhb1 cprbm1 ypavlf1 cprd1 yprvb1 cparhd1 yprwhm1 cpawvbl1 cpavhf1
crhbm1 cprvbl1 yparq1
"""


def planet_label_sets() -> tuple[Labels, NDArray[np.int64]]:
    """The (410, 17) label sets of the real data, columns as CLASS_NAMES, and how many chips have each."""
    found = re.findall(r"([a-z]+)(\d+)", PLANET_SETS)
    sets = [{CODES[code] for code in codes} for codes, _ in found]
    labels = np.array([[name in labels for name in CLASS_NAMES] for labels in sets])
    return labels, np.array([int(count) for _, count in found])


def label_table(chips: int, seed: int) -> Labels:
    """Labels of `chips` chips, (chips, 17), columns as CLASS_NAMES.

    Each label keeps its real share, the rare ones are lifted to FLOOR and a little above it, in their
    real order; the label sets are the real ones, as often as is closest to the real distribution
    (Kullback-Leibler) under these shares. The seed decides which chip has which set.
    """
    sets, counts = planet_label_sets()
    real = counts / counts.sum()
    expected = chips * _closest(real, sets, lifted(real @ sets, floor=FLOOR))
    order = np.lexsort(sets[:, np.argsort(-(real @ sets))].T)
    whole = np.diff(np.floor(np.cumsum(expected[order]) + 0.5), prepend=0).astype(int)
    rows = np.repeat(order, whole)
    return sets[np.random.default_rng(seed).permutation(rows)]


def _closest(
    probability: NDArray[np.float64], sets: Labels, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The distribution over `sets` closest to `probability` in which each label has its share.

    Source: iterative proportional fitting, Deming & Stephan (1940).
    """
    fitted = probability.copy()
    for _ in range(100):
        for has, share in zip(sets.T, shares, strict=True):
            now = fitted[has].sum()
            fitted *= np.where(has, share / now, (1 - share) / (1 - now))
    return fitted
