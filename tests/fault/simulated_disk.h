#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace backplane::fault {

/// A file or directory as programs see it, and as it would be after a loss of power.
struct Node {
  bool is_directory = false;

  // Of a file:
  std::string now, synced;
  bool has_failed_sync = false;  ///< from then on nothing of it is known to be on the disk

  // Of a directory:
  using Entries = std::map<std::string, std::shared_ptr<Node>>;
  /// A change since the last fsync of the directory: `name` becomes `node`, or goes where that is null; `from` goes.
  struct Change {
    std::string name, from;
    std::shared_ptr<Node> node;
  };
  Entries entries_now, entries_synced;
  std::vector<Change> changes;
};

/// A directory tree that remembers what has been synced. POSIX promises no order: of the changes that were not synced
/// any may survive and any may not; a rename survives as a whole. Not locked: one caller at a time.
class SimulatedDisk {
 public:
  /// Takes over what stands in the directory, as synced.
  explicit SimulatedDisk(const std::string& directory);

  /// Whether the path, absolute and normal, is the directory or below it.
  bool covers(const std::string& path) const;
  /// Null where there is none.
  std::shared_ptr<Node> find(const std::string& path) const;

  void link(const std::string& path, const std::shared_ptr<Node>& node);
  void unlink(const std::string& path);
  void rename(const std::string& from, const std::string& to);
  static void write(Node& file, std::size_t offset, const char* data, std::size_t bytes);
  static void sync(Node& node);

  /// Makes the real directory what a loss of power leaves; see Plan::seed.
  void lose_power(std::uint64_t seed) const;

 private:
  std::shared_ptr<Node> parent_of(const std::string& path) const;
  static void change(Node& directory, Node::Change change);

  std::string root_path_;
  std::shared_ptr<Node> root_;
};

}  // namespace backplane::fault
