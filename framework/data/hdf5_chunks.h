#pragma once

#include <string>

#include "data/origin.h"
#include "hdf5/handle.h"

namespace backplane {

/// Reads all elements of a data set into `to`, as numbers of the type `native` of `native_bytes` each: what H5Dread
/// gives where the file is whole. Throws by `origin`, with a remedy, where it is not. The library believes what stands
/// beside the values: it reads memory in place of what a chunk lacks, and the fill value in place of a chunk that its
/// index has put elsewhere. So chunks are read one by one, each must have the bytes of its shape, and as many must lie
/// in the table as the index counts. `path` is the data set's name. To be called in a child (read_in_child.h).
void read_elements(const h5::Handle& dataset, hid_t native, std::size_t native_bytes, void* to, const std::string& path,
                   const Origin& origin);

}  // namespace backplane
