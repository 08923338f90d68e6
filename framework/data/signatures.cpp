#include "data/signatures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "files/open_file.h"
#include "hdf5/superblock.h"

namespace backplane {

namespace {

using namespace std::string_view_literals;

constexpr const char* kHdf5 = "an HDF5 file";
constexpr const char* kToHdf5 =
    "h5py writes arrays into an HDF5 file, which `hdf5` reads: f = h5py.File('train.h5', 'w'); f['x'] = x; f['y'] = y";
constexpr const char* kImages =
    "put the images into one file, as arrays [N, H, W, C]: h5py.File('train.h5', 'w')['x'] = x";
constexpr const char* kTable = "write it as CSV: pandas reads it, and to_csv('train.csv', index=False) writes it";
constexpr const char* kUnpack = "unpack it first, and name what was in it";
constexpr const char* kZlib = "unpack it first: zlib.decompress of Python does";
constexpr const char* kToNetcdf4 = "turn it into HDF5, which `hdf5` reads: nccopy -k nc4";
constexpr const char* kUtf8 = "turn it into UTF-8: iconv -f UTF-16 -t UTF-8";

struct Known {
  std::size_t at;
  std::string_view bytes;
  const char* what;
  const char* remedy;
};

// The first that fits is meant, so longer ones come before their beginnings.
const std::array kKnown{
    Known{0, "\x1f\x8b"sv, "a gzip file", "unpack it first: gunzip"},
    Known{4, "1AY&SY"sv, "a bzip2 file", "unpack it first: bunzip2"},
    Known{0,
          "\xfd"
          "7zXZ\0"sv,
          "an xz file", "unpack it first: unxz"},
    Known{0, "\x28\xb5\x2f\xfd"sv, "a Zstandard file", "unpack it first: unzstd"},
    Known{0, "\x04\x22\x4d\x18"sv, "an LZ4 file", "unpack it first: unlz4"},
    Known{0, "\x1f\x9d"sv, "a compressed file (.Z)", "unpack it first: uncompress"},
    Known{0, "\x5d\0\0"sv, "an LZMA file", "unpack it first: unlzma"},
    Known{0, "LZIP\1"sv, "an lzip file", "unpack it first: lzip -d"},
    Known{0, "\x89LZO\0"sv, "an lzop file", "unpack it first: lzop -d"},
    Known{0, "x\x01"sv, "a zlib stream", kZlib},
    Known{0, "x\x9c"sv, "a zlib stream", kZlib},
    Known{0, "x\xda"sv, "a zlib stream", kZlib},
    Known{0, "Rar!\x1a\x07"sv, "a RAR archive", kUnpack},
    Known{0, "7z\xbc\xaf"sv, "a 7-Zip archive", kUnpack},
    Known{257, "ustar"sv, "a tar archive", kUnpack},
    Known{0, "CDF\1"sv, "a netCDF file of the classic format", kToNetcdf4},
    Known{0, "CDF\2"sv, "a netCDF file of the classic format", kToNetcdf4},
    Known{0, "CDF\5"sv, "a netCDF file of the classic format", kToNetcdf4},
    Known{0, "MATLAB 5.0 MAT-file"sv, "a MATLAB file", "in MATLAB, save(…, '-v7.3') writes HDF5, which `hdf5` reads"},
    Known{0, "\x93NUMPY"sv, "a NumPy array (npy)", kToHdf5},
    Known{0, "PAR1\x15"sv, "a Parquet file", kTable},
    Known{0, "ARROW1\0\0"sv, "an Arrow file", kTable},
    Known{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "an Excel or other Office file", kTable},
    Known{0, "SQLite format 3\0"sv, "an SQLite database", kTable},
    Known{0, "\x89PNG\r\n\x1a\n"sv, "a PNG image", kImages},
    Known{0, "\xff\xd8\xff"sv, "a JPEG image", kImages},
    Known{0, "GIF87a"sv, "a GIF image", kImages},
    Known{0, "GIF89a"sv, "a GIF image", kImages},
    Known{0, "II*\0"sv, "a TIFF image", kImages},
    Known{0, "MM\0*"sv, "a TIFF image", kImages},
    Known{0, "%PDF-"sv, "a PDF file", "tables are read from CSV files"},
    Known{0, "\x80\x02"sv, "a Python pickle", kToHdf5},
    Known{0, "\x80\x03"sv, "a Python pickle", kToHdf5},
    Known{0, "\x80\x04"sv, "a Python pickle", kToHdf5},
    Known{0, "\x80\x05"sv, "a Python pickle", kToHdf5},
    Known{0, "\xff\xfe\0\0"sv, "UTF-32 text", "turn it into UTF-8: iconv -f UTF-32 -t UTF-8"},
    Known{0, "\xff\xfe"sv, "UTF-16 text", kUtf8},
    Known{0, "\xfe\xff"sv, "UTF-16 text", kUtf8},
    Known{0, "version https://git-lfs"sv, "a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"},
    Known{0, "<!DOCTYPE"sv, "a web page", "it was downloaded in place of the data: look at it in a browser"},
    Known{0, "<!doctype"sv, "a web page", "it was downloaded in place of the data: look at it in a browser"},
    Known{0, "<html"sv, "a web page", "it was downloaded in place of the data: look at it in a browser"},
    Known{0, "@relation"sv, "a Weka file (ARFF)", "put a line of names in place of what stands above its rows"},
    Known{0, "@RELATION"sv, "a Weka file (ARFF)", "put a line of names in place of what stands above its rows"},
    Known{0, "{"sv, "JSON", kTable},
    Known{0, "[{"sv, "JSON", kTable},
    Known{0, "[["sv, "JSON", kTable},
    Known{0,
          "\x7f"
          "ELF"sv,
          "a program", ""},
    Known{0, "\0\0\x08"sv, "an IDX file", "`idx` reads images and labels of this format"},
    Known{0, "\0\0\x0d"sv, "an IDX file", "`idx` reads images and labels of this format"},
    Known{0, "\0\0\x0e"sv, "an IDX file", "`idx` reads images and labels of this format"},
};

/// Of a zip archive, by the names in it.
Signature zip_signature(std::string_view head) {
  const auto holds = [&](std::string_view name) { return head.find(name) != std::string_view::npos; };
  if (holds("[Content_Types].xml") || holds("xl/")) return {"an Excel file (xlsx)", kTable};
  if (holds(".npy")) return {"a NumPy archive (npz)", kToHdf5};
  if (holds("model.weights.h5") || holds("config.json"))
    return {"a Keras model",
            "data are read from here, not models; `backplane run --weights` takes weights of safetensors "
            "and npz files"};
  if (holds("data.pkl")) return {"a PyTorch file", kToHdf5};
  return {"a zip archive", kUnpack};
}

/// Text of two bytes a character, without a mark: every other byte of its first characters is 0.
bool looks_like_utf16(std::string_view head) {
  constexpr std::size_t kEnough = 16;
  if (head.size() < kEnough) return false;
  const auto zeros = [&](std::size_t first) {
    std::size_t count = 0;
    for (std::size_t i = first; i < kEnough; i += 2) count += head[i] == '\0' ? 1 : 0;
    return count;
  };
  return (zeros(0) == 0 && zeros(1) == kEnough / 2) || (zeros(1) == 0 && zeros(0) == kEnough / 2);
}

/// The size of what follows stands between its name and that of its contents: text has no such order.
bool is_riff(std::string_view head) {
  constexpr std::size_t kContents = 8;
  return head.starts_with("RIFF") && head.size() > kContents &&
         std::ranges::any_of(std::array{"WAVE"sv, "WEBP"sv, "AVI "sv},
                             [&](std::string_view contents) { return head.substr(kContents).starts_with(contents); });
}

/// What stands before it, in a user block of whatever length, is the user's own.
bool is_hdf5(OpenedFile opened) {
  if (!opened) return false;
  InputFile file(std::move(opened.file));
  return h5::read_superblock(file).has_value();
}

}  // namespace

Signature recognise(const std::string& path) {
  constexpr std::size_t kHead = 4096;
  OpenedFile file = open_regular(path);
  const std::string head = file ? read_all(file.file, path, kHead) : "";
  const std::string_view bytes = head;
  if (is_hdf5(std::move(file))) return {kHdf5, "`hdf5` reads it; `h5ls -r` lists its data sets"};
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return zip_signature(bytes);
  if (is_riff(bytes)) return {"a WAV, WebP or AVI file", kToHdf5};
  for (const Known& known : kKnown)
    if (bytes.size() > known.at && bytes.substr(known.at).starts_with(known.bytes)) return {known.what, known.remedy};
  if (looks_like_utf16(bytes)) return {"UTF-16 text", kUtf8};
  return {};
}

void refuse_foreign(const std::string& path, const std::string& noun) {
  if (const Signature found = recognise(path); !found.what.empty() && found.what != noun)
    Origin::file(path).fail(fmt::format("expected {}, found {}", noun, found.what), found.remedy);
}

std::string hint_of_signature(const std::string& path) {
  const Signature found = recognise(path);
  return found.what.empty()
             ? ""
             : fmt::format("this seems to be {}{}{}", found.what, found.remedy.empty() ? "" : ": ", found.remedy);
}

}  // namespace backplane
