#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace backplane {

namespace {

#if defined(__x86_64__)

/// A program for the kernel's filter, which sees the number and the arguments of each call, and no memory.
class Filter {
 public:
  Filter() {
    constexpr std::uint32_t kFirstOfX32 = 0x40000000;  // the same calls by other numbers
    load(offsetof(seccomp_data, arch));
    unless_equal(AUDIT_ARCH_X86_64, SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    add(BPF_JMP | BPF_JGE | BPF_K, kFirstOfX32, 0, 1);
    end(SECCOMP_RET_KILL_PROCESS);
  }

  void kill(std::initializer_list<long> calls) { each(calls, SECCOMP_RET_KILL_PROCESS); }
  void allow(std::initializer_list<long> calls) { each(calls, SECCOMP_RET_ALLOW); }
  void refuse(std::initializer_list<long> calls, int error) { each(calls, with(error)); }

  /// The call is allowed where none of these bits are set in its argument.
  void allow_without(long call, int argument, int bits, int error) {
    if_call(call, 4);
    load_argument(argument);
    add(BPF_JMP | BPF_JSET | BPF_K, static_cast<std::uint32_t>(bits), 0, 1);
    end(with(error));
    end(SECCOMP_RET_ALLOW);
  }
  /// Where its first argument is this number.
  void allow_for(long call, int number) {
    if_call(call, 4);
    load_argument(0);
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 1, 0);
    end(with(EPERM));
    end(SECCOMP_RET_ALLOW);
  }

  /// getrlimit, as glibc calls it: of this process, and without a new limit, which root could raise.
  void allow_reading_own_limits() {
    if_call(SYS_prlimit64, 10);
    constexpr int kProcess = 0, kNewLimit = 2;
    load_argument(kProcess);
    unless_equal(0, with(EPERM));
    load_argument(kNewLimit);
    unless_equal(0, with(EPERM));
    load_upper_half(kNewLimit);
    unless_equal(0, with(EPERM));
    end(SECCOMP_RET_ALLOW);
  }

  /// Every other call is one that this kernel has not: libraries then do without.
  void install() {
    end(with(ENOSYS));
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
  }

 private:
  static std::uint32_t with(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }
  void add(int code, std::uint32_t value, int if_true = 0, int if_false = 0) {
    code_.push_back({static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
                     static_cast<std::uint8_t>(if_false), value});
  }
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  /// Its lower half: flags and small numbers.
  void load_argument(int argument) { load(place_of(argument)); }
  void load_upper_half(int argument) { load(place_of(argument) + sizeof(std::uint32_t)); }
  static std::size_t place_of(int argument) {
    return offsetof(seccomp_data, args) + static_cast<std::size_t>(argument) * sizeof(std::uint64_t);
  }
  void end(std::uint32_t result) { add(BPF_RET | BPF_K, result); }
  void unless_equal(std::uint32_t value, std::uint32_t result) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    end(result);
  }
  /// What follows, so many instructions, which end the program, is for this call alone.
  void if_call(long call, int length) { add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, length); }
  void each(std::initializer_list<long> calls, std::uint32_t result) {
    for (const long call : calls) {
      if_call(call, 1);
      end(result);
    }
  }

  std::vector<sock_filter> code_;
};

void forbid_calls(Writing writing) {
  Filter filter;
  filter.kill({SYS_execve, SYS_execveat, SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_ptrace,
               SYS_process_vm_readv, SYS_process_vm_writev});
  filter.allow(
      {// files that are open
       SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_lseek,
       SYS_close, SYS_close_range, SYS_dup, SYS_dup2, SYS_dup3, SYS_fcntl, SYS_flock, SYS_fadvise64, SYS_ftruncate,
       SYS_fsync, SYS_fdatasync, SYS_poll,
       // what stands where
       SYS_stat, SYS_fstat, SYS_lstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_access, SYS_faccessat,
       SYS_faccessat2, SYS_readlink, SYS_readlinkat, SYS_getcwd, SYS_getdents64,
       // memory
       SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk,
       // itself
       SYS_futex, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_exit, SYS_exit_group,
       SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrusage, SYS_uname,
       SYS_sysinfo, SYS_getrandom, SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_restart_syscall,
       // time
       SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_time, SYS_times});
  const int writes = writing == Writing::yes ? 0 : O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
  filter.allow_without(SYS_open, 1, writes, EACCES);
  filter.allow_without(SYS_openat, 2, writes, EACCES);
  filter.allow_without(SYS_mmap, 2, PROT_EXEC, EACCES);
  filter.allow_without(SYS_mprotect, 2, PROT_EXEC, EACCES);
  const int self = static_cast<int>(::getpid());  // abort() signals itself
  filter.allow_for(SYS_kill, self);
  filter.allow_for(SYS_tgkill, self);
  filter.allow_reading_own_limits();
  filter.refuse({SYS_ioctl}, ENOTTY);
  filter.install();
}

#else

void forbid_calls(Writing) {}

#endif

}  // namespace

void enter_sandbox(Writing writing) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) forbid_calls(writing);
}

}  // namespace backplane
