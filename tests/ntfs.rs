//! NTFS against other implementations: fixtures made by mkntfs, ntfs-3g and wimlib, the public corpus, whole machines,
//! and mutated volumes.

#[path = "ntfs/corpus.rs"]
mod corpus;
#[path = "ntfs/fixtures.rs"]
mod fixtures;
#[path = "ntfs/hostile.rs"]
mod hostile;
#[path = "ntfs/machines.rs"]
mod machines;
#[path = "ntfs/mutations.rs"]
mod mutations;
#[path = "ntfs/second_opinion.rs"]
mod second_opinion;
#[path = "ntfs/sparse.rs"]
mod sparse;
#[path = "ntfs/walk.rs"]
mod walk;
