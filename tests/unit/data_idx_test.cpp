#include "data/idx.h"

#include "data_test_files.h"

namespace backplane {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::string idx(std::uint8_t type, const std::vector<std::uint32_t>& dims, const std::string& elements) {
  std::string file{'\0', '\0', static_cast<char>(type), static_cast<char>(dims.size())};
  for (const std::uint32_t extent : dims)
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(extent >> shift & 0xff);
  return file + elements;
}

class DataIdx : public DataFiles {
 protected:
  static std::string load_error() {
    return user_error([] { load_idx({{"images", "labels"}, std::nullopt}); });
  }
  static std::string read_error(const std::string& bytes) {
    write("file", bytes);
    return user_error([] { read_idx("file"); });
  }
  const std::string images_ = idx(8, {2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, '\xff'});
  const std::string labels_ = idx(8, {2}, {3, 0});
};

TEST_F(DataIdx, GivesImagesAChannelAxisAndCountsClasses) {
  write("images", images_);
  write("labels", gzip(labels_));
  const DataSet data = load_idx({{"images", "labels"}, std::nullopt});
  EXPECT_EQ(data.input_shape, (Shape{2, 3, 1}));
  EXPECT_EQ(data.classes, 4);
  EXPECT_EQ(data.train.count, 2);
  EXPECT_EQ(std::get<Bytes>(data.train.inputs), (Bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(data.train.targets), (std::vector<std::int64_t>{3, 0}));
  EXPECT_EQ(data.files, (std::vector<std::string>{"images", "labels"}));
  EXPECT_FALSE(data.test);
}

TEST_F(DataIdx, CountsClassesOverTheTestSplitToo) {
  write("images", images_);
  write("labels", labels_);
  write("more", idx(8, {2}, {9, 1}));
  const DataSet data = load_idx({{"images", "labels"}, IdxPair{"images", "more"}});
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.test->count, 2);
}

TEST_F(DataIdx, ReadsRowsAsSequences) {
  write("images", images_);
  write("labels", labels_);
  EXPECT_EQ(load_idx({{"images", "labels"}, std::nullopt, true}).input_shape, (Shape{2, 3}));
  write("images", idx(8, {2, 2}, "abcd"));
  EXPECT_EQ(user_error([] {
              load_idx({{"images", "labels"}, std::nullopt, true});
            }),
            "65 images: error: expected images with 3 axes to read their rows, found shape [2, 2]");
}

TEST_F(DataIdx, ReadsBigEndianFloats) {
  write("file", idx(0x0D, {1, 2}, {'\x3f', '\x80', 0, 0, '\xc0', 0x20, 0, 0}));
  EXPECT_EQ(std::get<std::vector<float>>(read_idx("file").values), (std::vector<float>{1.0f, -2.5f}));
  write("file", idx(0x0E, {1, 1}, {'\xc0', 0x04, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(std::get<std::vector<double>>(read_idx("file").values), (std::vector<double>{-2.5}));
}

TEST_F(DataIdx, RefusesEveryTruncation) {
  for (const std::string& whole : {images_, gzip(images_)})
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(read_error(whole.substr(0, size)).substr(0, 15), "65 file: error:") << size << " of " << whole.size();
}

TEST_F(DataIdx, SaysThatTheHeaderIsCut) {
  EXPECT_EQ(read_error(images_.substr(0, 3)), "65 file: error: the file ends within its header: it has 3 bytes");
  EXPECT_EQ(read_error(images_.substr(0, 6)), "65 file: error: the file ends within its header of 3 axes");
}

TEST_F(DataIdx, SaysHowMuchIsMissing) {
  EXPECT_EQ(read_error(images_.substr(0, images_.size() - 2)),
            "65 file: error: the file is truncated: shape [2, 2, 3] needs 12 bytes after the header, found 10");
  EXPECT_EQ(read_error(gzip(images_.substr(0, images_.size() - 2))),
            "65 file: error: the file is truncated: shape [2, 2, 3] needs 12 bytes after the header, found 10");
}

TEST_F(DataIdx, RefusesBytesAfterTheElements) {
  const std::string expected =
      "65 file: error: shape [2, 2, 3] needs 12 bytes after the header, but the file goes on after them";
  EXPECT_EQ(read_error(images_ + '\0'), expected);
  EXPECT_EQ(read_error(gzip(images_ + '\0')), expected);
}

TEST_F(DataIdx, NamesDamagedGzip) {
  std::string packed = gzip(images_);
  packed[packed.size() - 8] ^= 1;  // the first byte of the CRC
  EXPECT_EQ(read_error(packed).find("65 file: error: the gzip stream is damaged or ends early"), 0u);
  EXPECT_EQ(read_error(gzip(images_) + "rest").find("65 file: error: the gzip stream is damaged"), 0u);
}

TEST_F(DataIdx, RefusesGiantsBeforeTakingMemory) {
  EXPECT_EQ(read_error(idx(8, {65536, 65537}, "")),
            "65 file: error: a table of shape [65536, 65537] with 1 bytes an element exceeds the limit of 4 GiB");
  EXPECT_NE(read_error(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, "")), "");
  // Within the limit, but more than so short a file can hold.
  EXPECT_EQ(
      read_error(idx(8, {65536, 65536}, "")),
      "65 file: error: the file is truncated: shape [65536, 65536] needs 4294967296 bytes after the header, found 0");
  EXPECT_NE(read_error(gzip(idx(8, {65536, 65536}, ""))).find("found at most"), std::string::npos);
}

TEST_F(DataIdx, StopsReadingAGzipBomb) {
  EXPECT_NE(read_error(gzip(idx(8, {1, 1}, std::string(10'000'000, '\0')))).find("goes on after them"),
            std::string::npos);
}

TEST_F(DataIdx, RefusesForeignFiles) {
  EXPECT_EQ(read_error("PNG and so on"), "65 file: error: expected an IDX file, which begins with two bytes of 0");
  EXPECT_EQ(read_error(""), "65 file: error: expected an IDX file, found an empty one");
  EXPECT_EQ(read_error(idx(0x0B, {1}, "ab")),
            "65 file: error: element type 0b is not one of 08 (unsigned byte), 0d (float), 0e (double)");
  EXPECT_EQ(read_error(idx(8, {0, 2}, "")), "65 file: error: a table of shape [0, 2] holds no samples");
}

TEST_F(DataIdx, RefusesPairsThatDoNotFit) {
  write("images", images_);
  write("labels", idx(8, {3}, {1, 1, 1}));
  EXPECT_EQ(load_error(), "65 labels: error: 3 labels for the 2 samples of the inputs in images");
  write("labels", images_);
  EXPECT_EQ(load_error(),
            "65 labels: error: expected labels, unsigned bytes with 1 axis, found unsigned bytes of shape [2, 2, 3]");
  write("images", labels_);
  EXPECT_EQ(load_error(), "65 images: error: expected images with 2 axes or more, found shape [2]");
}

TEST_F(DataIdx, RefusesATestSplitOfAnotherShape) {
  write("images", images_);
  write("labels", labels_);
  write("other", idx(8, {2, 1, 1}, "ab"));
  EXPECT_EQ(user_error([] {
              load_idx({{"images", "labels"}, IdxPair{"other", "labels"}});
            }),
            "65 other: error: inputs of the test split have shape [1, 1, 1], those of the training split [2, 3, 1]");
}

TEST_F(DataIdx, RefusesValuesThatAreNotFinite) {
  write("images", idx(0x0D, {2, 2}, std::string(12, '\0') + std::string{'\x7f', '\x80', 0, 0}));
  write("labels", labels_);
  EXPECT_EQ(load_error(),
            "65 images: error: sample 1, element 1 is inf, expected a finite number (both counted from 0)\n"
            "  hint: put a finite number there, or leave out the sample");
}

TEST_F(DataIdx, NamesMissingFilesAndFolders) {
  EXPECT_EQ(load_error(), "66 images: error: there is no such file");
  std::filesystem::create_directory("images");
  EXPECT_EQ(load_error(), "66 images: error: is a directory, not a regular file");
}

TEST_F(DataIdx, FindsADataSetByNameInTheFirstFolderThatHasIt) {
  std::filesystem::create_directories("b/digits");
  for (const char* stem : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"})
    write(std::string("b/digits/") + stem, "");
  const IdxOptions found = find_idx("digits", {"a", "b"});
  EXPECT_EQ(found.train.images, "b/digits/train-images-idx3-ubyte");
  EXPECT_EQ(found.train.labels, "b/digits/train-labels-idx1-ubyte.gz");
  EXPECT_FALSE(found.test);
  write("b/digits/t10k-images-idx3-ubyte", "");
  EXPECT_EQ(user_error([] {
              find_idx("digits", {"a", "b"});
            }),
            "66 b/digits: error: this folder has no t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz)");
}

TEST_F(DataIdx, NamesEveryPlaceWhereADataSetIsNot) {
  EXPECT_EQ(user_error([] {
              find_idx("digits", {"a", "b"});
            }),
            "66 error: data set 'digits' not found; looked at a/digits, b/digits\n"
            "  hint: set BACKPLANE_DATA to the folder that holds digits/, or install Debian's dataset-digits");
}

TEST_F(DataIdx, ReadsFashionMnistFromDebiansPackage) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const DataSet data = load_idx(find_idx("fashion-mnist", {"/usr/share/datasets"}));
  EXPECT_EQ(data.input_shape, (Shape{28, 28, 1}));
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.train.count, 60000);
  EXPECT_EQ(data.test->count, 10000);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(data.train.targets)[0], 9);
}

}  // namespace
}  // namespace backplane
