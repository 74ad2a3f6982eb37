//! What the programs say to each other, and the files people write.
