#pragma once

#include <fmt/format.h>

#include <string>

#include "data/origin.h"
#include "hdf5/handle.h"

namespace backplane {

/// The path of an object without soft links, found link by link, so that HDF5 never follows one that leads out of the
/// file. Throws by `origin` (bad_data), with the nearest name, where nothing has that name or where a link leads out.
std::string resolve(const h5::Handle& file, const std::string& path, const Origin& origin);

/// "it holds: images, labels, … and 3 more": what a group has, for a hint.
std::string holding(const h5::Handle& group);

/// Runs what asks the HDF5 library for something in `file`. What it does not get is damage: throws by `origin`
/// (bad_data), with a remedy and the library's innermost reason.
template <class F>
auto or_damaged(const Origin& origin, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const h5::LibraryError& error) {
    origin.fail(fmt::format("the file is damaged: the HDF5 library could not {}", error.attempt),
                fmt::format("it says: {}; copy the file again from where it came, or write it again", error.reason));
  }
}

}  // namespace backplane
