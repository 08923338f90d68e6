#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "hdf5/handle.h"

namespace backplane::h5 {

// Reading files that nobody vouches for. What a file says of itself is checked before memory is taken for it, and
// nothing leads out of it: hard links only, no external or virtual storage, no filters but HDF5's own. The library
// itself may still crash on damage: use these in a child (sandbox/run_in_child.h).

/// What a damaged or hostile file asks for and does not get. The caller says which file.
struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws Unreadable.
void require(bool condition, const std::string& what);

/// Opens a regular file read-only; one that its writer never closed, as its readers may: up to the last flush.
/// Throws UserError: no_input where there is none; bad_data where its signature is missing or HDF5 refuses it.
struct OpenedHdf5 {
  Handle handle;
  bool is_being_written;  ///< or was when its writer died
};
OpenedHdf5 open_file(const std::string& path);

bool holds(hid_t place, const std::string& path);

/// Fixed-length texts and whole numbers.
std::string read_text_attribute(hid_t object, const char* name);
std::int64_t read_integer_attribute(hid_t object, const char* name);

/// `path` is absolute.
Handle open_group(hid_t file, const std::string& path);
Handle open_dataset(hid_t file, const std::string& path);

/// Of a data set whose elements the stored bytes can hold; empty for a scalar. The product of extents times the size
/// of an element is below 2^48.
std::vector<std::int64_t> shape_of(hid_t dataset);

std::string read_text(hid_t file, const std::string& path);
std::vector<std::string> read_names(hid_t file, const std::string& path);
/// T: std::int64_t or double; any number of another type is converted.
template <class T>
std::vector<T> read_array(hid_t file, const std::string& path);

/// One link of a group. `created` grows in the order in which a program made the objects.
struct Child {
  std::string name;
  bool is_group;
  std::uint64_t created;
};
/// By name.
std::vector<Child> children(hid_t file, const std::string& path);

}  // namespace backplane::h5
