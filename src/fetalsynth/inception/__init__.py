"""The Inception network that FID uses: its layout, its two public weight files, its maps."""
