#include "plugin_host/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "files/open_file.h"

namespace backplane {

namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
constexpr const char* kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
constexpr const char* kMachineName = "64-bit Arm";
#endif

std::string cut_off(std::uint64_t size, std::uint64_t wanted) {
  return fmt::format("it is cut off ({} bytes of at least {})", size, wanted);
}

}  // namespace

std::string why_not_loadable(const std::string& path) {
  OpenedFile opened = open_regular(path);
  if (!opened) return "it " + opened.why;
  const std::uint64_t size = size_of(opened.file);
  InputFile file(std::move(opened.file));

  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (size < SELFMAG || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return "it is no shared library (no ELF header)";
  if (size < sizeof header) return cut_off(size, sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine)
    return fmt::format("it was built for another kind of machine than this one ({})", kMachineName);
  if (header.e_type != ET_DYN) return "it is no shared library (another kind of ELF file)";
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) return "its ELF header is damaged";

  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const std::uint64_t table_bytes = segments.size() * sizeof(Elf64_Phdr);
  if (header.e_phoff > size || size - header.e_phoff < table_bytes) return cut_off(size, header.e_phoff + table_bytes);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  file.read(reinterpret_cast<char*>(segments.data()), static_cast<std::streamsize>(table_bytes));
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_filesz != 0 && (segment.p_offset > size || size - segment.p_offset < segment.p_filesz))
      return cut_off(size, segment.p_offset + segment.p_filesz);
  return {};
}

}  // namespace backplane
