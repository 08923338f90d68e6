#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace backplane {

/// What a child may take before it is ended and its file called damaged.
struct ChildLimits {
  std::int64_t memory;                ///< bytes beyond what this process has mapped; unbounded under sanitizers
  std::int64_t most_sent;             ///< bytes that the parent takes from it
  std::chrono::seconds cpu{0};        ///< time of computing; 0: unbounded
  std::chrono::seconds patience{60};  ///< without a byte sent; time that both are stopped (Ctrl-Z) does not count
  int writes_to = -1;                 ///< a descriptor that it keeps; only who has one may open files for writing
};

/// The child's end: what it writes, the parent reads in the same order with the same types. Sent in pieces of 64 KiB,
/// or when asked. Where the parent has gone, the child ends.
class ChildOutput {
 public:
  explicit ChildOutput(int fd) : fd_(fd) {}
  void bytes(const void* from, std::size_t size);
  template <class T>
  void number(T value) {
    bytes(&value, sizeof value);
  }
  void text(std::string_view value);
  void flush();

 private:
  int fd_;
  std::vector<char> waiting_;
};

/// The parent's end. Each call waits for the child and throws UserError (bad_data) where it died, stands still, or
/// sends more than it may; and what the child threw.
class ChildInput {
 public:
  virtual ~ChildInput() = default;
  virtual void bytes(void* to, std::size_t size) = 0;
  /// Throws unless the child may still send `size` bytes: asked before memory for them is taken.
  virtual void require_room(std::uint64_t size) = 0;
  template <class T>
  T number() {
    T value{};
    bytes(&value, sizeof value);
    return value;
  }
  std::string text();
};

/// Runs `work` in a forked child and `receive` here, so that a crash of the library that parses `file` is an error
/// of the file. An exception in the child is thrown here, once what it sent before has been received: UserError with
/// its code and first diagnostic, any other as bad_data of `file`. Where no child can be started, or where somebody
/// kills it, the error is io. The child can start no program, reach no network and open no file for writing where the
/// kernel offers to forbid it (sandbox/sandbox.h; not under sanitizers), and has no descriptor of this process open but
/// `writes_to`. It makes no core file, keeps silent on stderr (but for what a sanitizer finds),
/// leaves SIGINT, SIGTERM, SIGHUP and SIGUSR1 to this process, and is gone when this returns.
///
/// The child runs code of the library after fork: no other thread may be inside it at that time.
void run_in_child(const std::string& file, const ChildLimits& limits, const std::function<void(ChildOutput&)>& work,
                  const std::function<void(ChildInput&)>& receive);

}  // namespace backplane
