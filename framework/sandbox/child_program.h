#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "files/descriptor.h"

namespace backplane {

/// Work that a child process does. The child is this program, started anew, not a fork: it has nothing of this
/// process's memory, so that it does not matter what other threads and libraries are in the middle of.
struct ChildJob {
  const char* name;                        ///< by which the child finds it in the table that its main has
  void (*work)(const std::string& about);  ///< it may also end the process by itself
};

/// What a child has open: the three streams, which are /dev/null (under sanitizers stderr is its parent's), and these.
constexpr int kChildConnection = 3;  ///< its end of a socket; its parent has the other
constexpr int kChildFile = 4;        ///< the file that its parent handed over, if any

struct StartedChild {
  pid_t process;          ///< the caller waits for its end
  Descriptor connection;  ///< a socket, which the child's end closes
};

/// Starts this program for a job of its table, and hands over a file that is open here (`file`; -1: none). `about` is
/// what the job is told, and whoever lists processes: the name of a file. The child begins with this process's
/// environment and working directory, with all signals blocked and at their defaults; it dies with this process, and
/// makes no core file. Called on any thread, which has to live as long as the child. Throws std::system_error where no
/// process can be started, InternalError where main has not called do_job_of_parent.
StartedChild start_child(const ChildJob& job, const std::string& about, int file = -1);

/// The door for it: does the job and ends the process, where that was started by start_child; else returns.
/// REQUIRES: called by main, before it does anything else; every program that calls start_child has to.
void do_job_of_parent(int argc, char** argv, const std::vector<ChildJob>& table);

}  // namespace backplane
