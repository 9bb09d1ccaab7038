"""Messages of google.protobuf, which is not ours, built at run time: a second encoder to test our decoders against."""

from __future__ import annotations

import pytest


def messages(package, spec, prefix=""):
    """Classes by name out of {"Message": "number name type, ..."}.

    A type is one of protobuf's names, or a message of the spec; `*` before it repeats, `?` puts it into a oneof.
    Skips when google.protobuf is not installed.
    """
    pytest.importorskip("google.protobuf", reason="the package protobuf is not installed")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}{prefix}.proto", package=package, syntax="proto3")
    for name, lines in spec.items():
        message = file.message_type.add(name=name)
        for line in lines.split(","):
            number, label, kind = line.split()
            field = message.field.add(name=label, number=int(number))
            field.label = field_type.LABEL_REPEATED if kind[0] == "*" else field_type.LABEL_OPTIONAL
            bare = kind.strip("*?")
            if bare in spec:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".{package}.{bare}"
            else:
                field.type = getattr(field_type, f"TYPE_{bare.upper()}")
            if kind[0] == "?":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="one")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in spec}
