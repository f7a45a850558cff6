"""Licence and attribution of the published data sets, as they go onto model cards; looked up in November 2026."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetLicence:
    """On what conditions a data set may be used, and whom to name."""

    licence: str
    attribution: str


MSD_PANCREAS = DatasetLicence(
    "CC BY-SA 4.0",
    "Medical Segmentation Decathlon, Task07 Pancreas (Memorial Sloan Kettering Cancer Center): Antonelli et al., "
    "The Medical Segmentation Decathlon, Nature Communications 13:4128 (2022), doi 10.1038/s41467-022-30695-9",
)
NIH_PANCREAS = DatasetLicence(
    "CC BY 3.0",
    "NIH Pancreas-CT: Roth, Farag, Turkbey, Lu, Liu, Summers, Data from Pancreas-CT, The Cancer Imaging Archive "
    "(2016), doi 10.7937/K9/TCIA.2016.tNB1kqBU; Clark et al., The Cancer Imaging Archive (TCIA), Journal of "
    "Digital Imaging 26:1045 (2013), doi 10.1007/s10278-013-9622-7",
)
# Version 2.0.0 on Zenodo says CC BY-NC-SA in its metadata; 1.0 and from 2.0.1 on it is CC BY 4.0.
TOTALSEGMENTATOR = DatasetLicence(
    "CC BY 4.0",
    "TotalSegmentator data set, doi 10.5281/zenodo.6802613: Wasserthal et al., TotalSegmentator: robust segmentation "
    "of 104 anatomic structures in CT images, Radiology: Artificial Intelligence 5:e230024 (2023), "
    "doi 10.1148/ryai.230024",
)
BTCV = DatasetLicence(
    "registered access on Synapse (syn3193805): its conditions of use apply",
    "Multi-Atlas Labeling Beyond the Cranial Vault, MICCAI 2015 workshop and challenge (Vanderbilt University): "
    "Landman et al., doi 10.7303/syn3193805",
)
AMOS = DatasetLicence(
    "CC BY 4.0",
    "AMOS22, doi 10.5281/zenodo.7262581: Ji et al., AMOS: a large-scale abdominal multi-organ benchmark for versatile "
    "medical image segmentation, NeurIPS data sets and benchmarks (2022), arXiv 2206.08023",
)
FLARE = DatasetLicence(
    # Of the labels, one secondary source says CC BY 4.0, another research use only.
    "CTs (MSD Task07): CC BY-SA 4.0; labels: on the terms of their Zenodo record",
    "FLARE22 training set, doi 10.5281/zenodo.7860267: Ma et al., Unleashing the strengths of unlabelled data in "
    "deep learning-assisted pan-cancer abdominal organ quantification: the FLARE22 challenge, The Lancet Digital "
    "Health 6:e815 (2024); CTs: " + MSD_PANCREAS.attribution,
)
