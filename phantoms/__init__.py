"""The patient: where voxels are and what they are made of. No radiation."""
