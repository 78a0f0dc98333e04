"""What every other layer speaks: shared types, canonical hashes, atomic files, keyed random streams, errors."""
