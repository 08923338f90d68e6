#include "data/signatures.h"

#include <fmt/format.h>

#include "data/cifar.h"
#include "data/csv.h"
#include "data/hdf5_tables.h"
#include "data/idx.h"
#include "data/text.h"
#include "data_test_files.h"

namespace backplane {
namespace {

using namespace std::string_literals;

class DataSignatures : public DataFiles {
 protected:
  static std::string what(const std::string& bytes) {
    write("file", bytes);
    return recognise("file").what;
  }
};

TEST_F(DataSignatures, AreKnownByTheirFirstBytes) {
  const std::vector<std::pair<std::string, const char*>> files{
      {gzip("x,c\n1,0\n"), "a gzip file"},
      {"BZh91AY&SY\x01", "a bzip2 file"},
      {"\xFD"
       "7zXZ\0\0"s,
       "an xz file"},
      {"\x28\xB5\x2F\xFD\x04", "a Zstandard file"},
      {"\x04\x22\x4D\x18\x64\x40", "an LZ4 file"},
      {"\x1F\x9D\x90x", "a compressed file (.Z)"},
      {"\x5D\0\0\x80\0\xFF"s, "an LZMA file"},
      {"LZIP\x01\x0C", "an lzip file"},
      {"x\x9C\x4B\xAC", "a zlib stream"},
      {"Rar!\x1A\x07\x01\0"s, "a RAR archive"},
      {"\x89HDF\r\n\x1A\n", "an HDF5 file"},
      {"\x89PNG\r\n\x1A\n" + std::string(8184, '\0') + "\x89HDF\r\n\x1A\n", "an HDF5 file"},
      {"LZIP,x\n1,0\n", ""},
      {"CDF\1\0"s, "a netCDF file of the classic format"},
      {"\x93NUMPY\1\0"s, "a NumPy array (npy)"},
      {"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0B\0\0\0x_train.npy"s, "a NumPy archive (npz)"},
      {"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml"s,
       "an Excel file (xlsx)"},
      {"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0B\0\0\0config.json"s, "a Keras model"},
      {"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0archive/data.pkl"s, "a PyTorch file"},
      {"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.txt"s, "a zip archive"},
      {"PAR1\x15\x04", "a Parquet file"},
      {"ARROW1\0\0"s, "an Arrow file"},
      {"\x80\x04\x95", "a Python pickle"},
      {"\x89PNG\r\n\x1A\n", "a PNG image"},
      {"\xFF\xD8\xFF\xE0", "a JPEG image"},
      {"GIF89a", "a GIF image"},
      {"RIFF\x24\0\0\0WAVEfmt "s, "a WAV, WebP or AVI file"},
      {"RIFF\x24\0\0\0AVI LIST"s, "a WAV, WebP or AVI file"},
      {"%PDF-1.7", "a PDF file"},
      {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an Excel or other Office file"},
      {"\xFF\xFEx\0,\0"s, "UTF-16 text"},
      {"\xFE\xFF\0x"s, "UTF-16 text"},
      {"x\0,\0c\0\n\0001\0,\0000\0\n\0"s, "UTF-16 text"},
      {"\0\0\x08\x03\0\0\0\1"s, "an IDX file"},
      {std::string(257, 'a') + "ustar", "a tar archive"},
      {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file itself"},
      {"<!DOCTYPE html>", "a web page"},
      {"{\"a\": 1}", "JSON"},
      {"x,c\n1,0\n", ""},
      {"CDF,ORC,PAR1\n1,0,2\n", ""},
      {"RIFF,GIF8\n1,0\n", ""},
      {"GIF8,RIFF\n1,0\n", ""},
      {"\xEF\xBB\xBFx,c\n", ""},
      {"", ""},
  };
  for (const auto& [bytes, expected] : files) EXPECT_EQ(what(bytes), expected);
  EXPECT_EQ(recognise("nowhere").what, "");
}

TEST_F(DataSignatures, AreNamedByEverySource) {
  const std::string png = "\x89PNG\r\n\x1A\n\0\0\0\x0D"s;
  const std::string remedy =
      "put the images into one file, as arrays [N, H, W, C]: h5py.File('train.h5', 'w')['x'] = x";
  write("a", png);
  CsvOptions csv;
  csv.train = "a";
  EXPECT_EQ(user_error([&] { load_csv(csv); }),
            "65 a: error: expected a CSV file, found a PNG image\n  hint: " + remedy);
  EXPECT_EQ(user_error([] {
              load_hdf5({"a", std::nullopt, "x", "y", true});
            }),
            "65 a: error: expected an HDF5 file, found a PNG image\n  hint: " + remedy);
  EXPECT_EQ(
      user_error([] { read_idx("a"); }),
      "65 a: error: expected an IDX file, which begins with two bytes of 0\n  hint: this seems to be a PNG image: " +
          remedy);
  EXPECT_EQ(
      user_error([] { load_text({.files = {"a"}, .window = 1}); }),
      "65 a: error: byte 0 (counted from 0) begins no UTF-8 character: 89\n  hint: this seems to be a PNG image: " +
          remedy);
  std::filesystem::create_directory("c");
  write("c/data_batch_1.bin", png);
  EXPECT_EQ(
      user_error([] { load_cifar(Cifar::ten, "c"); }),
      "65 c/data_batch_1.bin: error: the file ends within record 0 (counted from 0): expected 3073 bytes, found 12\n"
      "  hint: this seems to be a PNG image: " +
          remedy);
}

}  // namespace
}  // namespace backplane
