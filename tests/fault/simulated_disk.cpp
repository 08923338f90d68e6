#include "simulated_disk.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>

namespace backplane::fault {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kSector = 512;

std::shared_ptr<Node> load(const fs::path& path) {
  auto node = std::make_shared<Node>();
  node->is_directory = fs::is_directory(path);
  if (node->is_directory) {
    for (const auto& entry : fs::directory_iterator(path)) node->entries_now[entry.path().filename()] = load(entry);
    node->entries_synced = node->entries_now;
  } else {
    std::ifstream file(path, std::ios::binary);
    node->now.assign(std::istreambuf_iterator<char>(file), {});
    node->synced = node->now;
  }
  return node;
}

void carry_out(Node::Entries& entries, const Node::Change& change) {
  if (!change.from.empty()) entries.erase(change.from);
  if (change.node)
    entries[change.name] = change.node;
  else
    entries.erase(change.name);
}

/// What chance leaves. Seed 0 means the worst: nothing that was not synced.
class Survivors {
 public:
  explicit Survivors(std::uint64_t seed) : worst_(seed == 0), random_(seed) {}

  Node::Entries entries(const Node& directory) {
    Node::Entries left = directory.entries_synced;
    for (const Node::Change& change : directory.changes)
      if (happens()) carry_out(left, change);
    return left;
  }

  /// Length and sectors reach the disk each for itself; a sector that does not is old where there was one, else zeros.
  std::string bytes(const Node& file) {
    if (worst_ || file.now == file.synced) return file.synced;
    std::string left = file.synced;
    const auto [shorter, longer] = std::minmax({file.now.size(), file.synced.size()});
    const std::size_t lengths[] = {file.now.size(), file.synced.size(), shorter + random_() % (longer - shorter + 1)};
    left.resize(lengths[random_() % 3], '\0');
    const std::size_t common = std::min(left.size(), file.now.size());
    for (std::size_t start = 0; start < common; start += kSector)
      if (happens()) std::copy_n(file.now.begin() + start, std::min(kSector, common - start), left.begin() + start);
    return left;
  }

 private:
  bool happens() { return !worst_ && random_() % 2 == 0; }

  bool worst_;
  std::mt19937_64 random_;
};

void restore(const Node& node, const fs::path& path, Survivors& survivors) {
  if (node.is_directory) {
    fs::create_directory(path);
    for (const auto& [name, child] : survivors.entries(node)) restore(*child, path / name, survivors);
  } else {
    std::ofstream(path, std::ios::binary) << survivors.bytes(node);
  }
}

}  // namespace

SimulatedDisk::SimulatedDisk(const std::string& directory) : root_path_(directory), root_(load(directory)) {}

bool SimulatedDisk::covers(const std::string& path) const {
  return path == root_path_ || path.starts_with(root_path_ + "/");
}

std::shared_ptr<Node> SimulatedDisk::find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  for (const fs::path& part : fs::path(path).lexically_relative(root_path_)) {
    if (part == ".") continue;
    const auto found = node->entries_now.find(part.string());
    if (found == node->entries_now.end()) return nullptr;
    node = found->second;
  }
  return node;
}

std::shared_ptr<Node> SimulatedDisk::parent_of(const std::string& path) const {
  const std::shared_ptr<Node> parent = find(fs::path(path).parent_path());
  if (parent) return parent;
  std::fprintf(stderr, "the simulated disk was not told how the directory of %s was made\n", path.c_str());
  std::abort();
}

void SimulatedDisk::change(Node& directory, Node::Change change) {
  carry_out(directory.entries_now, change);
  directory.changes.push_back(std::move(change));
}

void SimulatedDisk::link(const std::string& path, const std::shared_ptr<Node>& node) {
  change(*parent_of(path), {.name = fs::path(path).filename(), .from = {}, .node = node});
}

void SimulatedDisk::unlink(const std::string& path) {
  change(*parent_of(path), {.name = fs::path(path).filename(), .from = {}, .node = nullptr});
}

void SimulatedDisk::rename(const std::string& from, const std::string& to) {
  const std::shared_ptr<Node> parent = parent_of(to);
  if (parent != parent_of(from)) {
    std::fprintf(stderr, "the simulated disk knows renames within a directory only: %s\n", to.c_str());
    std::abort();
  }
  change(*parent, {.name = fs::path(to).filename(), .from = fs::path(from).filename(), .node = find(from)});
}

void SimulatedDisk::write(Node& file, std::size_t offset, const char* data, std::size_t bytes) {
  file.now.resize(std::max(file.now.size(), offset + bytes), '\0');
  std::copy_n(data, bytes, file.now.begin() + static_cast<std::ptrdiff_t>(offset));
}

void SimulatedDisk::sync(Node& node) {
  if (node.is_directory) {
    node.entries_synced = node.entries_now;
    node.changes.clear();
  } else if (!node.has_failed_sync) {
    node.synced = node.now;
  }
}

void SimulatedDisk::lose_power(std::uint64_t seed) const {
  for (const auto& entry : fs::directory_iterator(root_path_)) fs::remove_all(entry);
  Survivors survivors(seed);
  restore(*root_, root_path_, survivors);
}

}  // namespace backplane::fault
