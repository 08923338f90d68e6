// Names go into YAML, files and HDF5 paths.
#include "valid.h"

BP_SPOILED("test.bad_name", tables.layer.name = "spoiled/layer")
