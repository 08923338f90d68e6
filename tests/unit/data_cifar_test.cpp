#include "data/cifar.h"

#include "data_test_files.h"

namespace backplane {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::int64_t>;

/// A record whose planes count up from `red`, `green` and `blue`.
std::string record(const std::string& labels, int red, int green, int blue) {
  std::string bytes = labels;
  for (const int first : {red, green, blue})
    for (int pixel = 0; pixel < 1024; ++pixel) bytes += static_cast<char>(first + pixel);
  return bytes;
}

std::string label(int value) {
  return std::string(1, static_cast<char>(value));
}

class DataCifar : public DataFiles {
 protected:
  void SetUp() override {
    DataFiles::SetUp();
    for (int i = 1; i <= 5; ++i) write("data_batch_" + std::to_string(i) + ".bin", record(label(i), 10 * i, 7, 9));
    write("test_batch.bin", record(label(0), 1, 2, 3) + record(label(9), 4, 5, 6));
  }
  static std::string error() {
    return user_error([] { load_cifar(Cifar::ten, "."); });
  }
};

TEST_F(DataCifar, PutsChannelsLast) {
  write("batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  const DataSet data = load_cifar(Cifar::ten, ".");
  EXPECT_EQ(data.input_shape, (Shape{32, 32, 3}));
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.class_names.at(9), "truck");
  EXPECT_EQ(data.train.count, 5);
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{1, 2, 3, 4, 5}));
  EXPECT_EQ(std::get<Labels>(data.test->targets), (Labels{0, 9}));
  const Bytes& images = std::get<Bytes>(data.test->inputs);
  EXPECT_EQ(Bytes(images.begin(), images.begin() + 6), (Bytes{1, 2, 3, 2, 3, 4}));
  EXPECT_EQ(Bytes(images.end() - 3, images.end()), (Bytes{3, 4, 5}));  // pixel 1023 is 255 further on, modulo 256
  EXPECT_EQ(data.files.size(), 7u);
}

TEST_F(DataCifar, ReadsTheFineClassesOfCifar100) {
  write("train.bin", gzip(record(label(19) + label(99), 1, 2, 3)));
  write("test.bin", record(label(0) + label(4), 1, 2, 3));
  const DataSet data = load_cifar(Cifar::hundred, ".");
  EXPECT_EQ(data.classes, 100);
  EXPECT_EQ(std::get<Labels>(data.train.targets), Labels{99});
  EXPECT_EQ(std::get<Bytes>(data.train.inputs)[1], 2);
}

TEST_F(DataCifar, RefusesEveryTruncation) {
  const std::string whole = read("test_batch.bin");
  for (const std::size_t size : {0ul, 1ul, 3072ul, 3074ul, 6145ul}) {
    write("test_batch.bin", whole.substr(0, size));
    EXPECT_EQ(error(), "65 ./test_batch.bin: error: the file ends within record " + std::to_string(size / 3073) +
                           " (counted from 0): expected 3073 bytes, found " + std::to_string(size % 3073));
  }
  write("test_batch.bin", gzip(whole).substr(0, 60));
  EXPECT_NE(error().find("the gzip stream is damaged"), std::string::npos);
}

TEST_F(DataCifar, RefusesLabelsThatAreNoClass) {
  write("data_batch_2.bin", record(label(3), 0, 0, 0) + record(label(10), 0, 0, 0));
  EXPECT_EQ(error(),
            "65 ./data_batch_2.bin: error: the label of record 1 (counted from 0) is 10, expected a class from 0 to 9");
}

TEST_F(DataCifar, RefusesNamesThatAreNotOneAClass) {
  write("batches.meta.txt", "cat\r\ndog\r\n");
  EXPECT_EQ(error(), "65 ./batches.meta.txt: error: expected the names of 10 classes, one a line, found 2");
  write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\n" + std::string(100000, 'j'));
  EXPECT_NE(error().find("expected the names of 10 classes"), std::string::npos);
}

TEST_F(DataCifar, NamesAMissingBatch) {
  std::filesystem::remove("data_batch_4.bin");
  EXPECT_EQ(error(),
            "66 .: error: there is no data_batch_4.bin in this folder\n"
            "  hint: the binary version is at https://www.cs.toronto.edu/~kriz/cifar.html");
}

}  // namespace
}  // namespace backplane
