#include "recording/repair.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hdf5_hl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <vector>

#include "base/system_error.h"
#include "files/atomic_write.h"
#include "files/file_lock.h"
#include "files/open_file.h"
#include "files/paths.h"
#include "inspect/print_in_child.h"
#include "inspect/target.h"
#include "sandbox/fields.h"

namespace backplane {

namespace fs = std::filesystem;
using h5::check;
using h5::Handle;

namespace {

[[noreturn]] void refuse_living(const std::string& path) {
  throw UserError(ExitCode::io, path + ": its run is still writing it",
                  "`backplane inspect` reads it meanwhile; repair it when the run has ended");
}

/// Whether a run holds the lock cannot be asked. `error`: the system's, 0 where it did not refuse.
[[noreturn]] void refuse_unknown(const std::string& path, const std::string& why, int error) {
  const bool is_of_machine = error != 0 && code_of_reading(error) == ExitCode::io;
  throw UserError(ExitCode::io, fmt::format("{}: {}", path, why),
                  is_of_machine ? remedy_of(error) : "repair it as the user who ran it");
}

/// The lock that the run holds as long as it lives, for as long as the repair lasts; none where there is no lock file.
Descriptor take_lock_of_run(const std::string& trace) {
  const std::string path = (fs::path(trace).parent_path() / "run.lock").string();
  OpenedFile lock = open_regular(path, Links::refuse, O_RDWR);
  if (!lock && !lock.is_missing) refuse_unknown(path, lock.why, lock.error);
  const int error = lock ? lock_exclusively(lock.file) : 0;
  if (error == EAGAIN) refuse_living(trace);
  if (error != 0) refuse_unknown(path, fmt::format("cannot be locked: {}", reason_of(error)), error);
  return std::move(lock.file);
}

/// A trace that was moved away from its lock: the kernel grants a read lease only where nobody has the file open for
/// writing. File systems without leases say nothing.
void require_no_writer(const std::string& path) {
  const OpenedFile trace = open_regular(path);
  if (trace.is_missing) return;
  if (!trace) refuse_unknown(path, trace.why, trace.error);
  std::signal(SIGIO, SIG_IGN);  // a writer that comes while the lease is held
  if (::fcntl(trace.file.number(), F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN) refuse_living(path);
}

/// HDF5 must not meet a full disk. A file system that tells no figures is tried.
void require_room_for_copy(const std::string& path) {
  constexpr std::uintmax_t kMetadata = 1 << 20;
  std::error_code error;
  const fs::space_info space = fs::space(fs::path(path).parent_path(), error);
  const std::uintmax_t needed = fs::file_size(path) + kMetadata;
  if (!error && space.available < needed)
    throw UserError(
        ExitCode::io,
        fmt::format("{}: its copy needs {} bytes of free space, there are {}", path, needed, space.available),
        "make room on that disk");
}

// What follows runs in the child.

/// Which scale belongs to which axis of which data set.
struct Attachment {
  std::string dataset, scale;
  unsigned axis;
};

std::string name_of_object(hid_t object) {
  std::string name(4096, '\0');
  const ssize_t length = H5Iget_name(object, name.data(), name.size());
  h5::require(length > 0 && length < std::ssize(name), "a scale has no name");
  name.resize(static_cast<std::size_t>(length));
  return name;
}

herr_t add_scale(hid_t, unsigned, hid_t scale, void* names) {
  static_cast<std::vector<std::string>*>(names)->push_back(name_of_object(scale));
  return 0;
}

void find_attachments(hid_t file, const std::string& group, int depth, std::vector<Attachment>& found) {
  h5::require(depth < 7, group + " holds groups in groups in groups");
  for (const h5::Child& child : h5::children(file, group)) {
    const std::string path = (group == "/" ? "" : group) + "/" + child.name;
    if (child.is_group) {
      find_attachments(file, path, depth + 1, found);
      continue;
    }
    const Handle dataset = h5::open_dataset(file, path);
    for (unsigned axis = 0; axis < h5::shape_of(dataset.id()).size(); ++axis) {
      std::vector<std::string> scales;
      if (H5DSis_scale(dataset.id()) > 0 || H5DSget_num_scales(dataset.id(), axis) <= 0) continue;
      check(H5DSiterate_scales(dataset.id(), axis, nullptr, add_scale, &scales), "find the scales");
      for (const std::string& scale : scales) found.push_back({path, scale, axis});
    }
  }
}

/// References lead nowhere in another file: they are left out.
herr_t copy_attribute(hid_t from, const char* name, const H5A_info_t*, void* to) {
  const Handle attribute(H5Aopen(from, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "get a type");
  if (H5Tdetect_class(type.id(), H5T_REFERENCE) != 0) return 0;
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "get a data space");
  std::vector<char> value(H5Aget_storage_size(attribute.id()));
  check(H5Aread(attribute.id(), type.id(), value.data()), "read an attribute");
  const Handle copy(H5Acreate2(*static_cast<hid_t*>(to), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
                    H5Aclose, "make an attribute");
  return H5Awrite(copy.id(), type.id(), value.data());
}

void copy_attributes(hid_t from, hid_t to) {
  hsize_t position = 0;
  check(H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &position, copy_attribute, &to), "copy the attributes");
}

/// Copies groups and data sets under the names that they have. One that has several names is copied once and linked
/// again, so that the copy grows no larger than the file.
class Copier {
 public:
  Copier(hid_t from, hid_t to) : from_(from), to_(to) {}

  /// `path` is absolute, the group that holds it is there.
  void copy(const std::string& path, const h5::Child& object) {
    const auto [seen, is_new] = copied_.emplace(object.created, path);
    if (!is_new)
      check(H5Lcreate_hard(to_, seen->second.c_str(), to_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT), "link an object");
    else if (object.is_group)
      copy_group(path);
    else
      check(H5Ocopy(from_, path.c_str(), to_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT), "copy the records");
  }

  Handle make_group(const std::string& path) const {
    return Handle(H5Gcreate2(to_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "make a group");
  }

 private:
  void copy_group(const std::string& path) {
    const Handle source = h5::open_group(from_, path), target = make_group(path);
    copy_attributes(source.id(), target.id());
    for (const h5::Child& child : h5::children(from_, path)) copy(path + "/" + child.name, child);
  }

  hid_t from_, to_;
  std::map<std::uint64_t, std::string> copied_;  ///< by place in the file: the name in the copy
};

void remove_attribute(hid_t file, const std::string& path, const char* name) {
  if (H5Aexists_by_name(file, path.c_str(), name, H5P_DEFAULT) > 0)
    check(H5Adelete_by_name(file, path.c_str(), name, H5P_DEFAULT), "remove an attribute");
}

/// Cuts a data set to the complete records.
void cut(hid_t file, const std::string& path, std::size_t records) {
  const Handle dataset = h5::open_dataset(file, path);
  Shape shape = h5::shape_of(dataset.id());
  if (shape[0] <= static_cast<std::int64_t>(records)) return;
  shape[0] = static_cast<std::int64_t>(records);
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  check(H5Dset_extent(dataset.id(), extents.data()), "cut a data set");
}

void copy_records(const TensorFile& trace, const std::string& to) {
  const h5::OpenedHdf5 from = h5::open_file(trace.path());
  const hid_t source = from.handle.id();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "choose the file format");
  const Handle target(H5Fcreate(to.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "make the copy");
  const hid_t copy = target.id();
  copy_attributes(source, copy);
  Copier copier(source, copy);
  for (const h5::Child& child : h5::children(source, "/"))
    if (child.name != "layers") copier.copy("/" + child.name, child);
  if (!trace.layers().empty()) {
    const Handle layers = copier.make_group("/layers");
    const std::vector<h5::Child> groups = h5::children(source, "/layers");
    // One by one: the order in which they are made is the order in which data flows.
    for (const FileLayer& layer : trace.layers())
      copier.copy("/layers/" + layer.name, *std::ranges::find(groups, layer.name, &h5::Child::name));
  }
  // Copied references lead nowhere: scales are attached anew.
  std::vector<Attachment> attachments;
  find_attachments(source, "/", 0, attachments);
  for (const Attachment& each : attachments) {
    remove_attribute(copy, each.dataset, "DIMENSION_LIST");
    remove_attribute(copy, each.scale, "REFERENCE_LIST");
  }
  for (const Attachment& each : attachments) {
    const Handle dataset = h5::open_dataset(copy, each.dataset), scale = h5::open_dataset(copy, each.scale);
    check(H5DSattach_scale(dataset.id(), scale.id(), each.axis), "attach a scale");
  }
  for (const auto which : {TensorFile::Part::tensors, TensorFile::Part::statistics, TensorFile::Part::curves}) {
    const TensorFile part(trace.path(), which);
    const std::size_t records = part.steps().size();
    if (!part.steps_place().empty()) cut(copy, part.steps_place(), records);
    if (which == TensorFile::Part::tensors && !part.steps_place().empty()) cut(copy, "/scales/sample", records);
    for (const FileLayer& layer : part.layers())
      for (const FileTensor& tensor : layer.tensors) cut(copy, tensor.place, records);
  }
  check(H5Fflush(copy, H5F_SCOPE_GLOBAL), "flush the copy");
}

/// What the child is asked to look at.
struct Looking {
  std::string path;
  std::string copy;  ///< path of the file that it is to write; empty: none
};

/// What it finds.
struct Found {
  std::int64_t records = 0, first_step = 0, last_step = 0;
  bool is_closed = false;

  bool operator==(const Found&) const = default;
};

template <class Way>
void fields(Way& way, Looking& asked) {
  way(asked.path, asked.copy);
}
template <class Way>
void fields(Way& way, Found& found) {
  way(found.records, found.first_step, found.last_step, found.is_closed);
}

void look_at(ByteReader& request, ByteWriter& answer) {
  const auto [path, copy] = read_fields<Looking>(request);
  const TensorFile trace(path);
  if (!trace.is_trace())
    throw UserError(ExitCode::bad_data, path + ": is a checkpoint, not a trace", "checkpoints are never repaired");
  Found found{.records = std::ssize(trace.steps()), .is_closed = !trace.is_being_written()};
  if (found.records > 0) found.first_step = trace.steps().front(), found.last_step = trace.steps().back();
  if (!found.is_closed && !copy.empty()) copy_records(trace, name_of_descriptor(kChildFile, copy));
  write_fields(answer, found);
}

}  // namespace

const ChildJob kLookAtTrace = reading_job<look_at>("look-at-trace");

namespace {

Found look(const Looking& looking, int writes_to = -1) {
  Found found;
  look_in_child(
      {looking.path}, kLookAtTrace, [&](ByteWriter& request) { write_fields(request, looking); },
      [&](ByteReader& answer) { found = read_fields<Found>(answer); }, writes_to);
  return found;
}

}  // namespace

Repair repair_trace(const std::string& given) {
  const Target target = find_target(given);
  if (target.is_run && !target.trace)
    throw UserError(ExitCode::no_input, given + ": the run has no trace", "record: {every: …} makes one");
  if (target.is_run) require_regular_or_nothing(*target.trace);
  const std::string path = fs::canonical(target.is_run ? *target.trace : given).string();
  Found found;
  if (::access(directory_of(path).c_str(), W_OK) != 0 && errno == EROFS) {  // nobody writes there, and it may be closed
    found = look({.path = path});
    if (!found.is_closed)
      throw UserError(ExitCode::io, path + ": cannot be repaired: " + reason_of(EROFS),
                      "copy the run to a disk that can be written, and repair it there");
  } else {
    const Descriptor lock = take_lock_of_run(path);
    require_no_writer(path);
    require_room_for_copy(path);
    TemporaryFile copy(path);
    found = look({path, copy.path()}, copy.descriptor());
    if (!found.is_closed) {
      Found as_closed = found;
      as_closed.is_closed = true;
      if (look({.path = copy.path()}) != as_closed)
        throw UserError(ExitCode::io, path + ": its copy could not be read back; the file stands as it was");
      replace_file_durably(copy, path);
    }
  }
  return {path, found.records, found.first_step, found.last_step, !found.is_closed};
}

}  // namespace backplane
