#include "data/cifar.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/folders.h"
#include "data/packed_file.h"
#include "data/signatures.h"

namespace backplane {

namespace {

constexpr std::int64_t kPixels = 32 * 32;
constexpr std::int64_t kChannels = 3;
constexpr const char* kWhere = "the binary version is at https://www.cs.toronto.edu/~kriz/cifar.html";

struct Layout {
  std::string folder;
  std::vector<std::string> train;
  std::string test;
  std::string names;
  std::int64_t classes;
  std::int64_t label_bytes;  ///< the last of them is the label
};

Layout layout_of(Cifar which) {
  if (which == Cifar::hundred) return {"cifar-100-binary", {"train.bin"}, "test.bin", "fine_label_names.txt", 100, 2};
  return {"cifar-10-batches-bin",
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
          "test_batch.bin",
          "batches.meta.txt",
          10,
          1};
}

struct Records {
  std::vector<std::uint8_t> images;  ///< channels last
  std::vector<std::int64_t> labels;
};

void append_records(const std::string& path, const Layout& layout, Records& records) {
  PackedFile file(path);
  const std::int64_t size = layout.label_bytes + kPixels * kChannels;
  std::vector<std::uint8_t> record(static_cast<std::size_t>(size));
  for (std::int64_t i = 0;; ++i) {
    const std::int64_t found = file.read(record.data(), size);
    if (found == 0 && i > 0) return;
    if (found < size)
      file.origin().fail(
          fmt::format("the file ends within record {} (counted from 0): expected {} bytes, found {}", i, size, found),
          hint_of_signature(path));
    const std::uint8_t* planes = record.data() + layout.label_bytes;
    const std::int64_t label = planes[-1];
    if (label >= layout.classes)
      file.origin().fail(fmt::format("the label of record {} (counted from 0) is {}, expected a class from 0 to {}", i,
                                     label, layout.classes - 1),
                         hint_of_signature(path));
    records.labels.push_back(label);
    for (std::int64_t pixel = 0; pixel < kPixels; ++pixel)
      for (std::int64_t c = 0; c < kChannels; ++c) records.images.push_back(planes[c * kPixels + pixel]);
    table_bytes(file.origin(), {std::ssize(records.labels), kPixels, kChannels}, 1);
  }
}

RawSplit to_split(Records records, const std::string& folder) {
  const std::int64_t count = std::ssize(records.labels);
  return {{{count, 32, 32, kChannels}, std::move(records.images), Origin::file(folder)},
          {{count}, std::move(records.labels), Origin::file(folder)}};
}

/// One name a line.
std::vector<std::string> read_names(const std::string& path, std::int64_t classes) {
  PackedFile file(path);
  std::string text(1 << 16, '\0');
  text.resize(static_cast<std::size_t>(file.read(text.data(), std::ssize(text))));
  std::vector<std::string> names;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end > at) names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (std::ssize(names) != classes || !file.at_end())
    file.origin().fail(fmt::format("expected the names of {} classes, one a line, found {}", classes, names.size()));
  return names;
}

}  // namespace

std::string cifar_folder(Cifar which) {
  return layout_of(which).folder;
}

std::string find_cifar(Cifar which, const std::vector<std::string>& folders) {
  return find_data_folder(cifar_folder(which), folders,
                          fmt::format("{}; unpack it in $BACKPLANE_DATA, or name its `folder`", kWhere));
}

DataSet load_cifar(Cifar which, const std::string& folder) {
  const Layout layout = layout_of(which);
  std::vector<std::string> files;
  const auto path_of = [&](const std::string& name) {
    const std::string& path = files.emplace_back(folder + "/" + name);
    if (!is_there(path))
      Origin{Place{folder}, {}, ExitCode::no_input}.fail(fmt::format("there is no {} in this folder", name), kWhere);
    return path;
  };
  Records train, test;
  for (const std::string& name : layout.train) append_records(path_of(name), layout, train);
  append_records(path_of(layout.test), layout, test);
  DataSet data = assemble(to_split(std::move(train), folder), to_split(std::move(test), folder));
  data.classes = layout.classes;
  if (is_there(folder + "/" + layout.names)) data.class_names = read_names(path_of(layout.names), layout.classes);
  data.files = std::move(files);
  return data;
}

}  // namespace backplane
