#include "checkpoint/reader.h"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "base/system_error.h"
#include "checkpoint/snapshot_pipe.h"
#include "base/digest.h"
#include "hdf5/checked_read.h"
#include "files/open_file.h"
#include "sandbox/run_in_child.h"

namespace backplane {

namespace fs = std::filesystem;
using h5::check;
using h5::Handle;
using h5::open_dataset;
using h5::open_group;
using h5::read_array;
using h5::read_integer_attribute;
using h5::read_names;
using h5::read_text;
using h5::read_text_attribute;
using h5::require;
using h5::shape_of;

namespace {

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw UserError(ExitCode::bad_data, fmt::format("{}: {}", path.string(), why), "use another checkpoint of the run");
}

void require_size(const fs::path& path, const CommittedCheckpoint& promised, std::size_t bytes) {
  if (promised.bytes != bytes)
    refuse(path, fmt::format("has {} bytes, its manifest says {}: it is damaged", bytes, promised.bytes));
}

/// The bytes that the manifest promises. Throws where they are others; where there are more, none is read.
std::string read_promised(const fs::path& path, const Descriptor& file, const CommittedCheckpoint& promised) {
  if (size_of(file) > promised.bytes) require_size(path, promised, size_of(file));
  std::string bytes = read_all(file, path.string(), promised.bytes + 1);  // one more: it has grown
  require_size(path, promised, bytes.size());
  if (sha256_of(bytes.data(), bytes.size()) != promised.sha256)
    refuse(path, "its SHA-256 differs from its manifest: it is damaged");
  return bytes;
}

/// What the manifest beside a checkpoint promises of it.
CommittedCheckpoint promise_of(const fs::path& path) {
  if (!has_manifest(path.parent_path().string()))
    throw UserError(ExitCode::no_input,
                    fmt::format("{}: there is no MANIFEST.json beside it to verify it by", path.string()),
                    "copy the manifest along with the checkpoint");
  for (const CommittedCheckpoint& entry : read_manifest(path.parent_path().string()).checkpoints)
    if (entry.file == path.filename().string()) return entry;
  refuse(path, "is not in MANIFEST.json: it was never committed");
}

StoredTensor read_tensor(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  require(H5Tget_class(type.id()) == H5T_FLOAT, path + " holds no numbers");
  StoredTensor tensor;
  tensor.shape = shape_of(dataset.id());
  tensor.dtype = H5Tget_size(type.id()) == 4 ? DType::float32 : DType::float64;
  tensor.data = Buffer(static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype));
  check(H5Dread(dataset.id(), tensor.dtype == DType::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL,
                H5P_DEFAULT, tensor.data.data()),
        "read a tensor");
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    char label[64] = {};
    H5DSget_label(dataset.id(), static_cast<unsigned>(axis), label, sizeof label);
    tensor.axes.emplace_back(label);
  }
  if (H5Aexists(dataset.id(), "definition") > 0)
    tensor.attributes["definition"] = read_text_attribute(dataset.id(), "definition");
  return tensor;
}

void read_tensors(hid_t file, const std::string& layer_path, const std::string& below,
                  std::map<std::string, StoredTensor>& tensors) {
  require(std::ranges::count(below, '/') < 2, layer_path + " holds groups in groups in groups");
  for (const auto& [name, is_group, created] : h5::children(file, layer_path + (below.empty() ? "" : "/" + below))) {
    const std::string path = below.empty() ? name : below + "/" + name;
    if (is_group)
      read_tensors(file, layer_path, path, tensors);
    else
      tensors[path] = read_tensor(file, layer_path + "/" + path);
  }
}

StoredLayer read_layer(hid_t file, const std::string& name) {
  const std::string path = "/layers/" + name;
  const Handle group = open_group(file, path);
  StoredLayer layer{.name = name,
                    .type = read_text_attribute(group.id(), "type"),
                    .activation = read_text_attribute(group.id(), "activation"),
                    .plugin = read_text_attribute(group.id(), "plugin"),
                    .plugin_version = read_text_attribute(group.id(), "plugin_version"),
                    .plugin_sha256 = read_text_attribute(group.id(), "plugin_sha256"),
                    .trainable = read_integer_attribute(group.id(), "trainable") != 0,
                    .tensors = {}};
  read_tensors(file, path, "", layer.tensors);
  return layer;
}

template <class T>
T read_scalar(hid_t file, const std::string& path) {
  const std::vector<T> values = read_array<T>(file, path);
  require(values.size() == 1, path + " is no single number");
  return values[0];
}

void read_state(hid_t file, Snapshot& snapshot) {
  for (const auto& [name, is_group, created] : h5::children(file, "/state")) {
    require(!is_group, "/state/" + name + " is no number");
    const std::string path = "/state/" + name;
    const Handle dataset = open_dataset(file, path);
    const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
    if (H5Tget_class(type.id()) == H5T_INTEGER)
      snapshot.integers[name] = read_scalar<std::int64_t>(file, path);
    else
      snapshot.numbers[name] = read_scalar<double>(file, path);
  }
}

/// HDF5 reads the bytes where they are, without a copy of its own.
Snapshot read_image(const fs::path& path, std::string& bytes) {
  h5::make_quiet_and_safe();
  constexpr unsigned kAsItLies = H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE;
  const Handle file(H5LTopen_file_image(bytes.data(), bytes.size(), kAsItLies), H5Fclose, "open the image");
  if (H5Aexists(file.id(), "format") <= 0 || read_text_attribute(file.id(), "format") != "backplane-checkpoint")
    refuse(path, "is an HDF5 file, but no checkpoint");
  if (const std::int64_t version = read_integer_attribute(file.id(), "format_version"); version != 1)
    refuse(path, fmt::format("has format version {}, this program reads version 1", version));
  Snapshot snapshot;
  snapshot.step = read_integer_attribute(file.id(), "step");
  snapshot.weights_digest = read_text_attribute(file.id(), "weights_digest");
  snapshot.config = read_text(file.id(), "/config");
  snapshot.environment = read_text(file.id(), "/environment");
  snapshot.sample_indices = read_array<std::int64_t>(file.id(), "/scales/sample");
  snapshot.input = read_tensor(file.id(), "/probe/input");
  snapshot.target = read_tensor(file.id(), "/probe/target");
  snapshot.losses = read_array<double>(file.id(), "/probe/loss");
  if (h5::holds(file.id(), "/probe/length")) snapshot.lengths = read_array<std::int64_t>(file.id(), "/probe/length");
  if (h5::holds(file.id(), "/vocabulary")) snapshot.vocabulary = read_names(file.id(), "/vocabulary");
  read_state(file.id(), snapshot);
  for (const std::string& name : read_names(file.id(), "/layer_names"))
    snapshot.layers.push_back(read_layer(file.id(), name));
  const auto rows = static_cast<std::int64_t>(snapshot.sample_indices.size());
  const auto has_rows = [&](const StoredTensor& tensor) { return !tensor.shape.empty() && tensor.shape[0] == rows; };
  require(std::ssize(snapshot.losses) == rows && has_rows(snapshot.input) && has_rows(snapshot.target),
          "the probe's tensors have different numbers of samples");
  for (const char* name : {"batch_size", "step"})
    require(snapshot.integers.contains(name), fmt::format("/state/{} is missing", name));
  constexpr std::int64_t kMostCounted = std::int64_t{1} << 60;  // one more can always be counted
  const auto require_count = [](const std::string& name, std::int64_t value) {
    require(0 <= value && value <= kMostCounted, fmt::format("{} is {}, which counts nothing", name, value));
  };
  require_count("step", snapshot.step);
  for (const auto& [name, value] : snapshot.integers)
    if (name != "seed") require_count("/state/" + name, value);
  require(snapshot.numbers.contains("batch_loss"), "/state/batch_loss is missing");
  for (const StoredLayer& layer : snapshot.layers)
    for (const char* name : {"z", "activation", "delta"})
      require(layer.tensors.contains(name) && has_rows(layer.tensors.at(name)),
              fmt::format("layer {} has no {} for these samples", layer.name, name));
  return snapshot;
}

/// In the child. The request: the file's path, which messages name, and its bytes.
void read_for_parent(ByteReader& request, ByteWriter& answer) {
  const fs::path path = request.text();
  std::string bytes = request.text();
  try {
    send(read_image(path, bytes), answer);
  } catch (const UserError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // of HDF5, of what the file promised and does not hold
    refuse(path, fmt::format("cannot be read: {}", error.what()));
  }
}

}  // namespace

const ChildJob kReadCheckpoint = reading_job<read_for_parent>("read-checkpoint");

namespace {

/// The manifest tells damage; a file made to harm may have a manifest of its own.
Snapshot read_verified(const fs::path& path, const std::string& bytes) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  constexpr std::int64_t kSlack = 1 << 20, kMemory = std::int64_t{256} << 20, kBytesPerSecond = 8 << 20;
  const ChildLimits limits{.memory = 4 * size + kMemory,  // the file, the snapshot, copies of parts
                           .most_sent = 2 * size + kSlack,
                           .cpu = std::chrono::seconds(5 + size / kBytesPerSecond)};
  Snapshot snapshot;
  const auto ask = [&](ByteWriter& request) {
    request.text(path.string());
    request.text(bytes);
  };
  try {
    run_in_child(path.string(), limits, kReadCheckpoint, ask,
                 [&](ByteReader& answer) { snapshot = receive_snapshot(answer); });
  } catch (const UserError& error) {  // where the child died, a place and no hint
    if (error.diagnostics().front().place.source.empty()) throw;
    refuse(path, error.diagnostics().front().what);
  }
  return snapshot;
}

}  // namespace

Descriptor open_checkpoint(const std::string& path) {
  OpenedFile opened = open_regular(path);
  if (!opened && !opened.is_missing && opened.error != 0) throw cannot_read(path, opened.error);
  if (!opened)
    throw NoCheckpoint(ExitCode::no_input,
                       fmt::format("{}: {}", path, opened.is_missing ? "no such checkpoint" : opened.why),
                       "checkpoints are in RUN/checkpoints/step-<8 digits>.h5");
  return std::move(opened.file);
}

Snapshot read_checkpoint(const std::string& path) {
  const Descriptor file = open_checkpoint(path);
  const std::string bytes = read_promised(path, file, promise_of(path));
  return read_verified(path, bytes);
}

Snapshot read_checkpoint(const std::string& path, const CommittedCheckpoint& promised) {
  const std::string bytes = read_promised(path, open_checkpoint(path), promised);
  return read_verified(path, bytes);
}

}  // namespace backplane
