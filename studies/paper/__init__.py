"""The studies of the paper (Huang et al., ICLR 2022), repeated with this program's losses."""
