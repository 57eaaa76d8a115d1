"""SPADE (Park et al., CVPR 2019): images from label maps, by modulated normalisation."""
