//! The ext2, ext3 and ext4 reader against what other tools see in the same images.

mod machines;
mod truth;
